#!/bin/sh
# Installs syncd from SOURCE into a virtual environment at TARGET: what the image holds, also outside of Docker.
# Every dependency comes as a wheel; nothing is compiled.
set -eu
source=${1:?usage: image.sh SOURCE TARGET}
target=${2:?usage: image.sh SOURCE TARGET}
python3 -m venv "$target"
"$target/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir --only-binary :all: "setuptools>=77"
"$target/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir --no-build-isolation \
    --only-binary :all: "$source[kubernetes]"
"$target/bin/python" -m pip uninstall --quiet --yes setuptools pip
"$target/bin/syncd" version
