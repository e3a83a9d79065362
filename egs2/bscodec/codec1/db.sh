# shellcheck shell=bash disable=SC2034
# Where corpora lie, for `./run.sh --corpus paper`. Those left empty are left out; a variable of
# the environment counts as well.

LIBRITTS="${LIBRITTS:-}" # .../LibriTTS: train-clean-100 ... dev-clean, test-clean
AUDIOSET="${AUDIOSET:-}" # a folder with train/ and eval/, any audio below
FSD50K="${FSD50K:-}"     # .../FSD50K: FSD50K.dev_audio, FSD50K.eval_audio
ESC50="${ESC50:-}"       # .../ESC-50: audio/, named <fold>-...; fold 5 is tested, 4 validates
MUSDB18="${MUSDB18:-}"   # .../musdb18hq: train/, test/, a mixture.wav a song
