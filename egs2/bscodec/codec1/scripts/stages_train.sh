# shellcheck shell=bash disable=SC2154
# Stages 4 and 5, sourced by codec.sh: statistics and training with ESPnet's gan_codec_train.

# set_data_options: sets options, which name the data of training and validation.
set_data_options() {
    options=(
        --train_data_path_and_name_and_type "${dumpdir}/raw/${train_set}/wav.scp,audio,sound"
        --valid_data_path_and_name_and_type "${dumpdir}/raw/${valid_set}/wav.scp,audio,sound"
    )
}

need_training_data() {
    [ -n "${train_config}" ] || die "--train_config is needed"
    need "${train_config}" "conf/ holds the configs"
    local dset
    for dset in "${train_set}" "${valid_set}"; do
        need "${dumpdir}/raw/${dset}/wav.scp" "stage 3 makes it"
    done
}

# write_run_script FOLDER STAGE: a run.sh there that goes on from that stage.
write_run_script() {
    {
        echo "#!/usr/bin/env bash"
        echo "# Takes this experiment up again at stage $2; options given here come last and win."
        printf 'cd %q || exit 1\n' "${PWD}"
        printf 'cmd_backend=%q exec' "${cmd_backend}"
        printf ' %q' "${run_command[@]}" --stage "$2"
        # shellcheck disable=SC2016
        echo ' "$@"'
    } >"$1/run.sh.part"
    chmod +x "$1/run.sh.part"
    mv "$1/run.sh.part" "$1/run.sh"
}

# stats_settings: what the statistics depend on besides the data, so that models share them.
stats_settings() {
    local names='chunk_length|iterator_type|use_preprocessor'
    grep -E "^(${names}):" "${train_config}" || true
    grep -oE -e "--(${names})[ =][^ ]+" <<<"${train_args}" || true
}

# is_whole CHECKPOINT: torch writes zip archives, whose end a cut-off file lacks. Such files are from
# stock ESPnet; the plug-in's trainer gives a checkpoint its name when it is complete.
is_whole() {
    python3 -c 'import sys, zipfile; sys.exit(not zipfile.is_zipfile(sys.argv[1]))' "$1"
}

# show_epochs LOG: print a line an epoch, with ESPnet's estimate of the time left, from the log that
# is being written. Sets watcher, which is to be killed: whoever reads our output waits for it too.
show_epochs() {
    tail --pid=$$ -n 0 -F "$1" 2>/dev/null \
        > >(sed -un 's/.* INFO: \([0-9]*\)\/\([0-9]*\)epoch started/epoch \1 of \2/p') &
    watcher=$!
}

collect_stats() {
    local dir=${codec_stats_dir} n job part
    local -a arguments options aggregate=()
    need_training_data
    words arguments "${train_args}"
    set_data_options
    if ! begin "${dir}" "$(stats_settings)" \
        "${dumpdir}/raw/${train_set}/wav.scp" "${dumpdir}/raw/${valid_set}/wav.scp"; then
        log "${dir} is complete already"
        return
    fi
    write_run_script "${dir}" 4
    n=$(at_most "${nj}" "$(count_lines "${dumpdir}/raw/${train_set}/wav.scp")")
    n=$(at_most "${n}" "$(count_lines "${dumpdir}/raw/${valid_set}/wav.scp")")
    rm -rf "${dir}/log"
    split_list "${dumpdir}/raw/${train_set}/wav.scp" "${n}" "${dir}/log/train." .scp
    split_list "${dumpdir}/raw/${valid_set}/wav.scp" "${n}" "${dir}/log/valid." .scp
    # shellcheck disable=SC2086
    ${train_cmd} JOB="1:${n}" "${dir}/log/stats.JOB.log" \
        python3 -m espnet2.bin.gan_codec_train --collect_stats true --use_preprocessor true \
        --config "${train_config}" --output_dir "${dir}/log/stats.JOB" --ngpu 0 \
        "${options[@]}" --train_shape_file "${dir}/log/train.JOB.scp" \
        --valid_shape_file "${dir}/log/valid.JOB.scp" "${arguments[@]}"
    for ((job = 1; job <= n; job++)); do
        aggregate+=(--input_dir "${dir}/log/stats.${job}")
    done
    # shellcheck disable=SC2086
    ${train_cmd} "${dir}/log/aggregate.log" \
        python3 -m espnet2.bin.aggregate_stats_dirs "${aggregate[@]}" --output_dir "${dir}" \
        --skip_sum_stats
    for part in train valid; do
        [ -s "${dir}/${part}/audio_shape" ] || die "${dir}/${part}/audio_shape: it was not written"
    done
    finish "${dir}"
}

train_codec() {
    local dir=${codec_exp} part number=1 pretrained status=0
    local -a arguments options command
    need_training_data
    for part in train valid; do
        need "${codec_stats_dir}/${part}/audio_shape" "stage 4 makes it"
    done
    need "${codec_stats_dir}/.done" "stage 4 was cut off there; run it again"
    words arguments "${train_args}"
    set_data_options
    if ! begin "${dir}" "${train_args} ${pretrained_model}" "${train_config}" \
        "${dumpdir}/raw/${train_set}/wav.scp" "${dumpdir}/raw/${valid_set}/wav.scp" \
        "${codec_stats_dir}/train/audio_shape" "${codec_stats_dir}/valid/audio_shape"; then
        log "${dir} is trained already"
        return
    fi
    if ${inputs_changed} && [ -e "${dir}/checkpoint.pth" ]; then
        log "WARNING: ${dir} was begun with another config, other options or other data and goes on" \
            "from its last epoch with the present ones; remove it, or give --tag, to begin anew"
    fi
    if [ -e "${dir}/checkpoint.pth" ] && ! is_whole "${dir}/checkpoint.pth"; then
        die "${dir}/checkpoint.pth: cut off while it was written; remove it to begin anew" \
            "(--pretrained_model takes the weights of an epoch along)"
    fi
    write_run_script "${dir}" 5
    while [ -e "${dir}/train.${number}.log" ]; do
        number=$((number + 1))
    done
    if [ -e "${dir}/train.log" ]; then
        mv "${dir}/train.log" "${dir}/train.${number}.log"
    fi
    command=(
        python3 -m espnet2.bin.gan_codec_train --use_preprocessor true --resume true
        --config "${train_config}" --output_dir "${dir}" "${options[@]}"
        --train_shape_file "${codec_stats_dir}/train/audio_shape"
        --valid_shape_file "${codec_stats_dir}/valid/audio_shape" "${arguments[@]}"
    )
    if [ -n "${pretrained_model}" ]; then
        log "fetching ${pretrained_model}"
        pretrained=$(python3 local/fetch_model.py "${pretrained_model}" "${expdir}/pretrained" \
            | tail -n 1)
        python3 local/check_model.py "${train_config}" "${pretrained}"/*.pth \
            || die "${train_config} describes another network than ${pretrained_model} is"
        command+=(--init_param "$(echo "${pretrained}"/*.pth)")
    fi
    log "training; its log: ${dir}/train.log"
    show_epochs "${dir}/train.log"
    if [ "${num_nodes}" -gt 1 ]; then
        python3 -m espnet2.bin.launch --cmd "${cuda_cmd}" --log "${dir}/train.log" \
            --ngpu "${ngpu}" --num_nodes "${num_nodes}" --init_file_prefix "${dir}/.dist_init_" \
            --multiprocessing_distributed true -- "${command[@]}" || status=$?
    else
        # shellcheck disable=SC2086
        ${cuda_cmd} --gpu "${ngpu}" --num_threads "$((ngpu > 1 ? ngpu : 1))" "${dir}/train.log" \
            "${command[@]}" --ngpu "${ngpu}" --multiprocessing_distributed true \
            || status=$?
    fi
    kill "${watcher}" # no trap: with one, a killed shell would wait for its training
    [ "${status}" -eq 0 ] || exit "${status}"
    finish "${dir}"
}
