"""The codes of what keeps a file from being read as manifests: one literal table.

`base.yamltext` and `source.decode` use the codes; `validate.describe` makes a part of docs/rules.md of the table.
"""

from __future__ import annotations

from typing import Final

CODES: Final[dict[str, tuple[str, str, str]]] = {
    "V101": (
        "not YAML",
        "The text of a document that could be ours cannot be read. The mistake is at the place named, or just above.",
        "Mend the line; most often it is its indentation, a missing quote, or an unquoted {{tag}}.",
    ),
    "V102": (
        "key twice",
        "A mapping has a key twice. Kubernetes takes the last one and drops the other without a word.",
        "Keep one of them, or join them.",
    ),
    "V103": (
        "too large",
        "The file, the number of its documents, or the number of files is over the limit.",
        "Split it, or raise the limit (limits.fileBytes, limits.documents, limits.files).",
    ),
    "V104": (
        "too many values",
        "Written out, the aliases of a document make it larger than the limit (or endless).",
        "Use fewer aliases; raise limits.nodes where the document is meant to be that large.",
    ),
    "V105": ("too deep", "The document nests deeper than any manifest does.", "Flatten it."),
    "V106": ("not UTF-8", "The file holds bytes that are no text.", "Save it as UTF-8 without control characters."),
    "V107": (
        "link leads out",
        "A symbolic link points out of the source, at nothing, or in a circle. It is not followed.",
        "Put the file itself there, or exclude the link.",
    ),
    "V108": (
        "no name",
        "A manifest needs metadata.name (a Workflow or Job may have metadata.generateName instead).",
        "Name it.",
    ),
    "V109": (
        "Secret in git",
        "The source may not bring Secrets, so this one is not applied. Values for embedded mode come from the secrets directory.",
        "Take it out of git; or allow it with secrets: true on the source.",
    ),
    "V110": (
        "metadata of the wrong type",
        "metadata, its name or its namespace is not what it has to be: an unquoted name of digits is a number.",
        "Quote it.",
    ),
    "V111": (
        "kind not allowed",
        "The configuration allows the source other kinds only.",
        "Move the manifest, or add its kind to the source's kinds.",
    ),
    "V112": (
        "unknown version",
        "The API group is Argo's, the version is not one that Argo ever had for this kind.",
        "Write argoproj.io/v1alpha1.",
    ),
    "V113": ("unknown kind", "The kind looks like one of Argo's, misspelt.", "Write it as the message says."),
    "V114": (
        "namespace not allowed",
        "The configuration allows the source other namespaces only.",
        "Move the manifest, or add its namespace to the source's namespaces.",
    ),
    "V115": (
        "name that cannot be shown",
        "A path of the repository is not UTF-8 or holds control characters. The file is not read.",
        "Rename the file.",
    ),
}
"""code → (title, meaning, remedy)."""
