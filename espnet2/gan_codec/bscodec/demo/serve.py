"""``bscodec demo --serve``: code and listen from a browser, by gradio.

Nothing is kept: what a visitor uploads lies in a temporary folder of this process for ten minutes
at most, and what is coded in that visitor's session.  Nothing is asked of other hosts.
"""

from __future__ import annotations

import html
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from espnet2.gan_codec.bscodec.codec import Codec
from espnet2.gan_codec.bscodec.demo.clips import SHIPPED, DemoError, find_clips
from espnet2.gan_codec.bscodec.demo.listening import SUFFIX, Listening, band_edges, code, page
from espnet2.gan_codec.bscodec.format.escapes import escaped

MAX_SECONDS = 60.0
MAX_BYTES = 50_000_000  # of an upload
MAX_WAITING = 32  # jobs; another visitor is told to come back
SESSION_SECONDS = 600  # after which what a visitor coded is forgotten
FONTS = ["system-ui", "sans-serif"]  # those of the machine: gradio's would come from elsewhere
SILENT = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "GRADIO_SHARE": "False",
}


def serve(codec: Codec, host: str, port: int, started: Callable[[str], object]) -> None:
    """Serve the page until this process is interrupted.

    Args:
        codec: the model that codes.
        host, port: where; port 0: one that is free.
        started: is called with the page's address.

    Raises:
        DemoError: gradio is missing, or the port is taken.
    """
    if find_spec("gradio") is None:
        raise DemoError("--serve also needs gradio: pip install 'espnet-bscodec[serve]'")
    with _private_files():
        app = build_app(codec)
        theme = _theme()
        try:
            _, address, _ = app.launch(
                server_name=host,
                server_port=port or _free_port(host),
                max_file_size=MAX_BYTES,
                theme=theme,
                quiet=True,
                share=False,
                ssr_mode=False,
                footer_links=[],
                prevent_thread_lock=True,
                state_session_capacity=4 * MAX_WAITING,
            )
        except OSError as error:
            raise DemoError(f"{host}:{port}: cannot be served: {error}") from error
        started(address)
        try:
            app.block_thread()
        finally:
            app.close(verbose=False)


@contextmanager
def _private_files() -> Iterator[None]:
    """Have gradio keep its files in a folder that goes with this process, and ask nobody."""
    with tempfile.TemporaryDirectory(prefix="bscodec-demo-") as folder:
        os.environ.update(SILENT, GRADIO_TEMP_DIR=folder)
        yield


def _free_port(host: str) -> int:
    import socket

    with socket.socket() as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]


def _theme() -> Any:
    import gradio

    return gradio.themes.Default(font=FONTS, font_mono=["monospace"])


def build_app(codec: Codec) -> Any:
    """The page as ``gradio.Blocks``: choose a signal and bands, listen, look, download."""
    import gradio

    clips = {clip.name: clip.path for clip in find_clips(SHIPPED)}
    labels = [f"{low:g}-{high:g} Hz" for low, high in band_edges(codec)]

    def show(path: str | Path | None) -> tuple:
        """Code a file; all bands are heard at first."""
        if path is None:
            return None, gradio.update(), gradio.update()
        try:
            heard = code(codec, Path(path), MAX_SECONDS)
        except (ValueError, OSError) as error:
            # the name alone: where this process keeps files is nobody's business
            text = str(error).replace(str(path), Path(path).name)
            return None, gradio.update(), _message(text)
        every = list(range(heard.bands.shape[0]))
        return heard, gradio.update(value=labels[: len(every)]), _frame(page(codec, heard, every))

    def listen(heard: Listening | None, chosen: list[str]) -> Any:
        """Play the chosen bands of what was coded."""
        if heard is None:
            return gradio.update()
        last = heard.bands.shape[0]
        return _frame(page(codec, heard, [i for i in map(labels.index, chosen) if i < last]))

    with gradio.Blocks(
        title=f"BSCodec: {codec.tag}", analytics_enabled=False, delete_cache=(60, SESSION_SECONDS)
    ) as app:
        gradio.Markdown(
            f"# BSCodec: {html.escape(codec.tag)}\nCode a recording of at most {MAX_SECONDS:g} s, "
            f"or play a `{SUFFIX}` file of this model. Nothing is kept."
        )
        session = gradio.State(None, time_to_live=SESSION_SECONDS)
        with gradio.Row():
            upload = gradio.File(label=f"A recording, or a {SUFFIX} file", height=140)
            record = gradio.Audio(
                sources=["microphone"], type="filepath", format="wav", label="Or record"
            )
            clip = gradio.Dropdown(list(clips), value=None, label="Or one of these clips")
        bands = gradio.CheckboxGroup(labels, value=labels, label="Bands that are heard")
        view = gradio.HTML(elem_id="view")
        results = [session, bands, view]
        one_at_a_time: dict[str, Any] = {"concurrency_id": "codec", "concurrency_limit": 1}
        private: dict[str, Any] = {"api_visibility": "private"}
        upload.upload(show, upload, results, **one_at_a_time, **private)
        record.stop_recording(show, record, results, **one_at_a_time, **private)
        clip.input(lambda name: show(clips.get(name)), clip, results, **one_at_a_time, **private)
        bands.input(listen, [session, bands], view, **one_at_a_time, **private)
    return app.queue(max_size=MAX_WAITING)


def _frame(document: str) -> str:
    """A page within the page, as high as it is."""
    grow = "this.style.height = this.contentDocument.documentElement.scrollHeight + 8 + 'px'"
    return (
        f'<iframe title="What was coded" srcdoc="{html.escape(document)}" onload="{grow}" '
        'style="width: 100%; height: 40rem; border: 0"></iframe>'
    )


def _message(text: str) -> str:
    return f'<p role="alert"><strong>{html.escape(escaped(text))}</strong></p>'
