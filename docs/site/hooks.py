"""What the site has besides docs/: README files of other folders, and pages made from the code."""

from pathlib import Path

import api_pages
import command_page
import config_page
import links
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
RECIPE = "egs2/bscodec/codec1"
MODELS = "espnet2/gan_codec/bscodec/hub/pretrained"
# pages of the site that are files elsewhere in the repository
ELSEWHERE = {
    "index.md": "README.md",
    "recipe.md": f"{RECIPE}/README.md",
    "studies.md": f"{RECIPE}/study/README.md",
    "tones.md": f"{RECIPE}/study/tones/README.md",
    "model_card.md": f"{MODELS}/bscodec-mini/README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
}
# files whose docstrings or tables are a page of the site
SOURCES = {
    "reference/commands.md": "espnet2/gan_codec/bscodec/cli",
    "reference/configuration.md": "espnet2/gan_codec/bscodec/model/config.py",
    "api/codec.md": "espnet2/gan_codec/bscodec/codec.py",
    "api/bscodec.md": "espnet2/gan_codec/bscodec/model/bscodec.py",
    "api/streams.md": "espnet2/gan_codec/bscodec/inference/streaming_codec.py",
    "api/tokens.md": "espnet2/gan_codec/bscodec/tokens/reader.py",
}
GENERATED = {
    **api_pages.PAGES,
    "reference/commands.md": command_page.markdown,
    "reference/configuration.md": config_page.markdown,
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not in docs/."""
    # sys.path would have it find ESPnet's espnet2, a regular package, and not ours beside it
    config.plugins["mkdocstrings"].get_handler("python")._paths = [str(ROOT)]  # type: ignore
    for uri, path in ELSEWHERE.items():
        files.append(File.generated(config, uri, abs_src_path=str(ROOT / path)))
    for uri, make in GENERATED.items():
        files.append(File.generated(config, uri, content=make()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Have links between files of the repository lead to the site's pages."""
    uri = page.file.src_uri
    if uri in GENERATED:
        return markdown
    home = ELSEWHERE.get(uri, f"docs/{uri}")
    return links.rewritten(markdown, ROOT, home, uri, ELSEWHERE | SOURCES, config.repo_url)
