#!/usr/bin/env bash
# Train codecs of bscodec-mini's size with several band edges, widths, codebooks and quantizers, each
# for about the same time, and print the table of docs/mini_choices.md. Finished work is not done again.
set -euo pipefail

dumpdir=dump/raw
outdir=exp/mini_choices
# a file of conf/choices, and the updates for which it takes as long as the first for 1000
choices="first:1000 edges_published:1000 edges_low:1000 bands_3:530 bands_5:950 bits_low:1000
    wide:1000 deep:840 codes_8:1000 vq:760"
seed=1
train_args=

help_message="Usage: $0 [options]

  --dumpdir     folder of train_mix and valid_small               (default: ${dumpdir})
  --outdir      all that is made                                  (default: ${outdir})
  --choices     NAME:UPDATES, NAME a file of conf/choices
                (default: ${choices})
  --seed        of training                                       (default: ${seed})
  --train_args  more of gan_codec_train's, for a trial"

. utils/parse_options.sh
. utils/common.sh
. ./path.sh

train() { # NAME UPDATES
    local dir=${outdir}/train/$1-${seed} config=conf/choices/$1.yaml set
    local -a data=() more=()
    words more "${train_args}"
    for set in train_mix valid_small; do
        need "${dumpdir}/${set}/wav.scp" "the card of bscodec-mini has the commands that make it"
        data+=("--${set%_*}_data_path_and_name_and_type" "${dumpdir}/${set}/wav.scp,audio,sound")
        data+=("--${set%_*}_shape_file" "${dumpdir}/${set}/utt2num_samples")
    done
    begin "${dir}" "$2 updates, seed ${seed} ${train_args}" conf/train_bscodec_mini.yaml \
        "${config}" "${dumpdir}"/{train_mix,valid_small}/utt2num_samples || return 0
    clear_folder "${dir}"
    log "training $1"
    # an epoch is counted in utterances, of which 0.7 give an update; it ends a little late, when
    # the rate is zero
    python3 -m espnet2.bin.gan_codec_train --config conf/train_bscodec_mini.yaml \
        --codec_conf "$(<"${config}")" --seed "${seed}" --ngpu 0 "${data[@]}" \
        --max_epoch 1 --num_iters_per_epoch $(($2 * 7 / 10)) --num_att_plot 0 \
        --scheduler_conf "warmup_steps_list=[0, 100, $(($2 / 2)), $2, 1000000]" \
        --scheduler_conf "warmup_lr_list=[0.0, 8.0e-4, 8.0e-4, 0.0, 0.0]" \
        --output_dir "${dir}" "${more[@]}" >"${dir}/console.log" 2>&1 ||
        die "training failed: see ${dir}/console.log"
    finish "${dir}"
}

for choice in ${choices}; do
    train "${choice%:*}" "${choice#*:}"
done
local/choices_table.py "${outdir}" >"${outdir}/table.md.part"
mv "${outdir}/table.md.part" "${outdir}/table.md"
cat "${outdir}/table.md"
