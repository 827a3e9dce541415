"""Kinds of files by their first bytes, to say what a file is that was taken for text."""

# The first bytes, what has them, and what to do about it. None of them begins a text: where they are letters, what
# follows is none.
_KINDS = (
    (b"\x1f\x8b", "is compressed with gzip", "let its name end with .gz, or decompress it (gunzip)"),
    (b"\x28\xb5\x2f\xfd", "is compressed with zstd", "let its name end with .zst, or decompress it (unzstd)"),
    (b"\xfd7zXZ\0", "is compressed with xz", "decompress it (unxz)"),
    (b"7z\xbc\xaf\x27\x1c", "is a 7z archive", "unpack it"),
    (b"PK\x03\x04", "is a zip archive, as spreadsheets and .npz files are", "unpack it, or save the sheet as .csv"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "is a document of an old Office", "save the sheet as .csv"),
    (b"PAR1\x15", "is a Parquet file", "let its name end with .parquet"),
    (b"ARROW1\0\0", "is an Arrow file", "let its name end with .arrow"),
    (b"\x93NUMPY", "is an .npy file", "expected texts; vectors need a name that ends with .npy"),
    (b"SQLite format 3\0", "is a SQLite database", "write the texts into a file"),
    (b"\xff\xfe", "is UTF-16", "convert it to UTF-8 (iconv -f UTF-16 -t UTF-8)"),
    (b"\xfe\xff", "is UTF-16", "convert it to UTF-8 (iconv -f UTF-16 -t UTF-8)"),
)
_BZIP2, _BZIP2_BLOCK = b"BZh", b"1AY&SY"
_TAR, _TAR_AT = b"ustar", 257
# As many bytes as tell all of them.
HEAD_BYTES = _TAR_AT + len(_TAR)


def other_kind(head: bytes) -> str | None:
    """What a file is that begins so, and what to do about it; None if it may be text.

    >>> other_kind(bytes([31, 139, 8]))
    'is compressed with gzip; let its name end with .gz, or decompress it (gunzip)'
    """
    for first, what, advice in _KINDS:
        if head.startswith(first):
            return f"{what}; {advice}"
    if head.startswith(_BZIP2) and head[4:10] == _BZIP2_BLOCK:
        return "is compressed with bzip2; decompress it (bunzip2)"
    if head[_TAR_AT:HEAD_BYTES] == _TAR:
        return "is a tar archive; unpack it"
    return None
