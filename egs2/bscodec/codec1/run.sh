#!/usr/bin/env bash
# The recipe: codec.sh with the names and settings of this project's models and data.
set -euo pipefail

model=BSCodec_band_simvq_3band
mini=false
corpus=open
# shellcheck disable=SC2034  # read by name below
{
    speech_dirs=
    sound_dirs=
    music_dirs=
}
augment_hours=0

help_message="Usage: run.sh [--model NAME] [--mini true] [--corpus open|open_more|clips|folders|paper] [options of codec.sh]
  --model          NAME of conf/train_NAME.yaml                       (default: ${model})
                   BSCodec_band_vq_5band, BSCodec_band_simvq_3band, BSCodec_band_simvq_2band,
                   dac, encodec, bscodec_mini, bscodec_cpu
  --mini           stages 1 to 8: the small default model, trained for minutes on a small part of
                   the open corpus (134 MB are downloaded) or, with --corpus clips, on the twelve
                   packaged clips                                     (default: ${mini})
  --corpus         where the data come from, see local/data.sh        (default: ${corpus})
  --speech_dirs, --sound_dirs, --music_dirs   folders for --corpus folders, with spaces between
  --augment_hours  for --corpus open and open_more, see local/data.sh               (default: ${augment_hours})
All other options are those of codec.sh:
"

# For --mini: few, and still all three domains in training, validation and test.
packages="ktuberling-data ufoai-sound openttd-opensfx"
packages+=" fretsonfire-songs-muldjord fretsonfire-songs-sectoid"

rest=()
while [ $# -gt 0 ]; do
    case $1 in
        --model | --mini | --corpus | --speech_dirs | --sound_dirs | --music_dirs | --augment_hours)
            [ $# -ge 2 ] || { echo "run.sh: $1: a value is expected after it" >&2 && exit 2; }
            printf -v "${1#--}" '%s' "$2"
            shift 2
            ;;
        --help | -h)
            echo "${help_message}"
            exec ./codec.sh --help
            ;;
        *)
            rest+=("$1")
            shift
            ;;
    esac
done

settings=(
    --train_set train_all
    --valid_set dev_sub
)
case ${mini} in
    true)
        model=bscodec_mini
        settings+=(--tag mini --skip_packing false --ngpu 0
            --codec_stats_dir exp/codec_stats_mini_raw_fs24000
            --train_args "--max_epoch 4 --num_iters_per_epoch 60 --num_cache_chunks 64
                --scheduler_conf warmup_steps_list=[0,40,400]
                --scheduler_conf warmup_lr_list=[0.0,8.0e-4,0.0]")
        ;;
    false) ;;
    *)
        echo "run.sh: --mini ${mini}: expected true or false" >&2
        exit 2
        ;;
esac

test_sets="test_speech test_sound test_music"
data_options="--corpus ${corpus}"
case ${corpus} in
    open | open_more)
        data_options+=" --augment_hours ${augment_hours}"
        if ${mini}; then
            data_options+=" --domain_seconds 60 --packages '${packages}'"
        fi
        ;;
    folders) test_sets= ;;
    paper)
        . ./db.sh
        test_sets="${LIBRITTS:+test_speech} ${AUDIOSET:+test_sound} ${MUSDB18:+test_music}"
        if [ -z "${AUDIOSET}" ] && [ -n "${FSD50K}${ESC50}" ]; then
            test_sets+=" test_sound"
        fi
        for path in LIBRITTS AUDIOSET FSD50K ESC50 MUSDB18; do
            [ -z "${!path}" ] || data_options+=" --${path,,} $(printf '%q' "${!path}")"
        done
        ;;
esac
for domain in speech sound music; do
    dirs=${domain}_dirs
    if [ -n "${!dirs}" ]; then
        data_options+=" --${dirs} $(printf '%q' "${!dirs}")"
        [ "${corpus}" != folders ] || test_sets+=" test_${domain}"
    fi
done
if [ -z "${test_sets// /}" ]; then
    echo "run.sh: --corpus folders needs --speech_dirs, --sound_dirs or --music_dirs," \
        "--corpus paper the paths of db.sh" >&2
    exit 2
fi

case ${model} in
    dac | encodec) decoding=conf/decode_${model}_6kbps.yaml ;;
    *) decoding=conf/decode.yaml ;;
esac
if [ ! -e "conf/train_${model}.yaml" ]; then
    names=$(basename -s .yaml -a conf/train_*.yaml | sed 's/^train_//' | tr '\n' ' ')
    echo "run.sh: --model ${model}: expected one of ${names}" >&2
    exit 2
fi

exec ./codec.sh "${settings[@]}" \
    --test_sets "${test_sets# }" \
    --local_data_opts "${data_options}" \
    --train_config "conf/train_${model}.yaml" \
    --inference_config "${decoding}" \
    "${rest[@]}"
