"""Put a run's results into documents, between the marks that they hold for it."""

from __future__ import annotations

from pathlib import Path

from espnet2.gan_codec.bscodec.format.atomic import atomic_write

BEGIN, END = "<!-- benchmark: begin -->", "<!-- benchmark: end -->"


def paste(document: Path, text: str) -> None:
    """Replace what stands between BEGIN and END in ``document``.

    Raises:
        ValueError: the marks are not there, once each and in order.
        OSError: it cannot be read or written.
    """
    contents = document.read_text(encoding="utf-8")
    before, begin, rest = contents.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end) or BEGIN in rest or END in after:
        raise ValueError(f"{document}: expected the marks '{BEGIN}' and '{END}', once each")
    with atomic_write(document) as temporary:
        temporary.write_text(f"{before}{BEGIN}\n{text.strip()}\n{END}{after}", encoding="utf-8")
