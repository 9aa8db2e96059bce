"""Where manifests come from: git repositories and plain directories, decoded. A door to files that strangers wrote."""
