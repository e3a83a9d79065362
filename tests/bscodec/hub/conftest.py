"""A trained model as training leaves it."""

import pytest

from ..experiments import write_experiment


@pytest.fixture
def experiment(tmp_path):
    """An experiment folder, its weights under ESPnet's names in valid.mel_loss.best.pth."""
    folder = tmp_path / "exp" / "codec_small_raw_fs24000"
    write_experiment(folder)
    return folder
