"""The problems that planning itself finds: an object that may not be written, though its manifest is right.

A literal table of codes, as `validate` has one for its own; `docs/rules.md` shows both. Used by `plan.plan`, made into
`Problem` values by `loops.sync`, which knows file and line.
"""

from __future__ import annotations

from typing import Final

OWNED_BY_SOURCE: Final = "V801"
NOT_OURS: Final = "V802"
KIND_NOT_ALLOWED: Final = "V803"
NAMESPACE_NOT_ALLOWED: Final = "V804"
NOT_WRITTEN: Final = "V805"
DECLARED_BY_OTHERS: Final = "V806"
RESERVED: Final = "V807"

CODES: Final[dict[str, tuple[str, str, str]]] = {
    OWNED_BY_SOURCE: (
        "owned by another source",
        "The object is already declared by another source, and two owners would overwrite each other for ever.",
        "remove it from one of the two sources, or rename it",
    ),
    NOT_OURS: (
        "made by somebody else",
        "An object of this name is there and carries no owner: it was made by hand, and is never adopted silently.",
        "delete the object, or hand it over by labelling it `syncd.io/source=SOURCE`, or rename the one in git",
    ),
    KIND_NOT_ALLOWED: (
        "kind not allowed for this source",
        "The configuration lists the kinds that this source may write; a Secret needs explicit permission.",
        "add the kind to `kinds` of the source, or move the object to another source",
    ),
    NAMESPACE_NOT_ALLOWED: (
        "namespace not allowed for this source",
        "The configuration lists the namespaces that this source may write to.",
        "add the namespace to `namespaces` of the source, or change metadata.namespace",
    ),
    NOT_WRITTEN: (
        "the store refused the object",
        "The manifest passed lint, but the place where objects live did not take it.",
        "read the message, and mend the manifest or what refuses it; the sync tries again by itself",
    ),
    DECLARED_BY_OTHERS: (
        "declared by another tool",
        "Another manager declares a field by server-side apply (Argo CD, Flux, Helm, kubectl); to write it would be an endless fight.",
        "let one of the two declare it, or add the field to `ignore` of the source",
    ),
    RESERVED: (
        "name of a record of syncd's own",
        "syncd keeps its ledger and its inventory under names like this one; a manifest could forge them.",
        "rename it, or put it into another namespace",
    ),
}
"""code → title, meaning, remedy."""
