"""The artifact: a folder with one graph in one precision for one target, and the manifest that describes it.

manifest     what is known of an artifact, and the names of its files; the contract between export and engine
parts        what a manifest is made of: files, checkpoint, plans
written      the manifest's file: its formats, its digest, how it is read
fields       what each field of a manifest may be
kinds        which poolers, layouts and targets there are
references   the files that a graph names, which must be the artifact's own
operators    the operators that a graph names; `protobuf` reads what both need of its file
opening      an artifact's folder: read, and every file checked
checkpoints  what is a checkpoint and no artifact, and the command that exports it
output       whether a folder may become an artifact
hub          where an artifact lies: a local folder or a repository on the Hugging Face hub
upload       files into a repository there

`Manifest` is public; the rest is private to engine and export.
"""
