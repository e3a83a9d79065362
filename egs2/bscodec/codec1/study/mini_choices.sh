#!/usr/bin/env bash
# Train codecs of bscodec-mini's size with several band edges, widths, codebooks and quantizers, each
# for about the same time, and print the table of docs/mini_choices.md. Finished work is not done again.
set -euo pipefail

dumpdir=dump/raw
outdir=exp/mini_choices
# a file of study/conf/choices, and the updates for which it takes as long as the first for 1000
choices="first:1000 edges_published:1000 edges_low:1000 edges_lower:1000 edges_lowest:1000
    edges_1350:1000 bands_3:530 bands_5:950 bands_5_low:950 bands_5_top:1000 frames_50:1000
    frames_60:1000 frames_60_low:1000 frames_60_lower:1000 bits_low:1000 wide:1000 deep:840
    codes_8:1000 vq:760"
seed=1
train_args=

help_message="Usage: $0 [options]

  --dumpdir     folder of train_mix and valid_small               (default: ${dumpdir})
  --outdir      all that is made                                  (default: ${outdir})
  --choices     NAME:UPDATES, NAME a file of study/conf/choices
                (default: ${choices})
  --seed        of training                                       (default: ${seed})
  --train_args  more of gan_codec_train's, for a trial"

. utils/parse_options.sh
. utils/common.sh
. study/study_training.sh
. ./path.sh

for choice in ${choices}; do
    name=${choice%:*} updates=${choice#*:}
    # an epoch is counted in utterances, of which 0.7 give an update; it ends a little late, when
    # the rate is zero
    train_part "${outdir}/train/${name}-${seed}" "${updates} updates, seed ${seed}" \
        conf/train_bscodec_mini.yaml "study/conf/choices/${name}.yaml" "${seed}" \
        --max_epoch 1 --num_iters_per_epoch $((updates * 7 / 10)) --num_att_plot 0 \
        --scheduler_conf "warmup_steps_list=[0, 100, $((updates / 2)), ${updates}, 1000000]" \
        --scheduler_conf "warmup_lr_list=[0.0, 8.0e-4, 8.0e-4, 0.0, 0.0]"
done
PYTHONPATH=local study/choices_table.py "${outdir}" >"${outdir}/table.md.part"
mv "${outdir}/table.md.part" "${outdir}/table.md"
cat "${outdir}/table.md"
