#!/usr/bin/env bash
# Code the test sets of the open corpus with a model and score it beside Opus: the model card's
# table. Needs opusenc, the extra [score] and, as its third argument, the folder of
# test_{speech,sound,music}/audio: downloads/open_corpus/segments after `local/data.sh --corpus open`.
set -euo pipefail
. ./path.sh

model=${1:-bscodec-mini}
out=${2:-exp/score_packaged}
dump=${3:-dump/raw}
metrics=${METRICS:-mel,STFT}
rates=${OPUS_KBPS:-6 8 12 16}

merged=()
for domain in speech sound music; do
    ref=${dump}/test_${domain}/audio
    bscodec encode "${ref}" -o "${out}/coded/${domain}" --model "${model}"
    bscodec decode "${out}/coded/${domain}" -o "${out}/decoded/${domain}" --model "${model}"
    peers=()
    for kbps in ${rates}; do
        peers+=(--peer "opus:${kbps}")
    done
    bscodec score --ref "${ref}" --hyp "${model##*/}=${out}/decoded/${domain}" "${peers[@]}" \
        --codes "${model##*/}=${out}/coded/${domain}" --domain "${domain}" \
        --metrics "${metrics}" --outdir "${out}/${domain}" --no-report
    merged+=("${out}/${domain}")
done
bscodec score --merge "${merged[@]}" --outdir "${out}" --no-report
