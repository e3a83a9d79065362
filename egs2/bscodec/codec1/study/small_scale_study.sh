#!/usr/bin/env bash
# Train small codecs that differ in the band split and the quantizer alone, score them, and draw
# the table and the curves of docs/small_scale_study.md. Finished work is not done again.
set -euo pipefail

dumpdir=dump/raw
outdir=exp/small_scale_study
seeds="1 2 3"
systems="simvq_3band vq_4band rvq_1band encodec simvq_4band rvq_1band_mel"
domains="speech sound music"
speech_metrics=mel,STFT,PESQ,STOI
other_metrics=mel,STFT,ViSQOL
stage=1
stop_stage=3
train_args=

help_message="Usage: $0 [options]

Stages: 1 train, 2 code and score the test sets, 3 table and curves. Needs the extra [score].

  --dumpdir         folder of train_mix, valid_small and test_<domain>  (default: ${dumpdir})
  --outdir          all that is made                                    (default: ${outdir})
  --seeds           of training                                         (default: ${seeds})
  --systems         files of study/conf/scale       (default: ${systems})
  --domains         test sets                                           (default: ${domains})
  --speech_metrics  as bscodec score --metrics       (default: ${speech_metrics})
  --other_metrics   of sound and music                             (default: ${other_metrics})
  --stage, --stop_stage                                                 (default: ${stage}, ${stop_stage})
  --train_args      more of gan_codec_train's, for a trial"

. utils/parse_options.sh
. utils/common.sh
. study/study_training.sh
. ./path.sh

score() { # DOMAIN: all runs that are finished, each as a peer of the scorer
    local dir=${outdir}/score/$1 ref=${dumpdir}/test_$1/audio metrics=${other_metrics} run
    local -a peers=() models=()
    [ "$1" != speech ] || metrics=${speech_metrics}
    for run in "${outdir}"/train/*/.done; do
        run=${run%/.done}
        models+=("${run}/latest.pth")
        peers+=(--peer "bscodec:${run}")
    done
    need "${models[0]}" "stage 1 makes it"
    begin "${dir}" "${metrics}" "${models[@]}" || return 0
    log "scoring $1"
    bscodec score --ref "${ref}" "${peers[@]}" --domain "$1" --metrics "${metrics}" \
        --outdir "${dir}" --no-report >"${dir}/console.log" 2>&1 ||
        die "scoring failed: see ${dir}/console.log"
    finish "${dir}"
}

if [ "${stage}" -le 1 ] && [ "${stop_stage}" -ge 1 ]; then
    for seed in ${seeds}; do
        for system in ${systems}; do
            train_part "${outdir}/train/${system}-${seed}" "seed ${seed}" study/conf/scale/train.yaml \
                "study/conf/scale/${system}.yaml" "${seed}"
        done
    done
fi
if [ "${stage}" -le 2 ] && [ "${stop_stage}" -ge 2 ]; then
    for domain in ${domains}; do
        score "${domain}"
    done
fi
if [ "${stage}" -le 3 ] && [ "${stop_stage}" -ge 3 ]; then
    export PYTHONPATH=local # helpers of the stages
    study/study_table.py "${outdir}" >"${outdir}/table.md.part"
    mv "${outdir}/table.md.part" "${outdir}/table.md"
    study/study_curves.py "${outdir}" "${outdir}/curves.png"
    log "${outdir}/table.md, ${outdir}/curves.png"
fi
