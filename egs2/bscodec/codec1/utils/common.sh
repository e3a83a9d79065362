# shellcheck shell=bash disable=SC2034
# To be sourced: messages, lists, and what is known of finished work.

log() {
    echo "$(date '+%Y-%m-%d %H:%M:%S') ${0##*/}: $*"
}

die() {
    echo "${0##*/}: $*" >&2
    exit 1
}

# need FILE WHAT: the file, or one line that says what makes it.
need() {
    [ -e "$1" ] || die "$1: no such file; $2"
}

# available_cpus: how many this process may use, by affinity and a container's quota.
available_cpus() {
    python3 -c 'from espnet2.gan_codec.bscodec.inference.cpus import available_cpus as n; print(n())'
}

count_lines() {
    wc -l <"$1" | tr -d ' '
}

at_most() {
    echo $(($1 < $2 ? $1 : $2))
}

# words ARRAY TEXT: split a text into words as a shell would, quotes and backslashes understood.
words() {
    xargs -r true <<<"$2" || die "$2: its quotes do not match"
    mapfile -d '' -t "$1" < <(xargs -r printf '%s\0' <<<"$2")
}

# split_list FILE N PREFIX SUFFIX: split the lines round-robin into PREFIX1SUFFIX ... PREFIXnSUFFIX.
split_list() {
    mkdir -p "$(dirname "$3")"
    awk -v n="$2" -v prefix="$3" -v suffix="$4" \
        '{ print > (prefix ((NR - 1) % n + 1) suffix) }' "$1"
}

# What the work in a folder was made from (a line of settings and the digests of its input files)
# is kept in .inputs; .done says that it was finished.

# begin FOLDER SETTINGS FILE...: true when there is work to do. Sets inputs_changed to true when
# what lies in the folder was made from something else.
begin() {
    local folder=$1 settings=$2 wanted
    shift 2
    wanted=$(printf '%s\n' "${settings}" && sha256sum -- "$@") || exit 1
    inputs_changed=false
    if [ -e "${folder}/.inputs" ]; then
        if [ "$(<"${folder}/.inputs")" = "${wanted}" ]; then
            [ ! -e "${folder}/.done" ]
            return
        fi
        inputs_changed=true
    elif [ -n "$(ls -A "${folder}" 2>/dev/null)" ]; then
        die "${folder}: not made by this recipe; move it away, or begin at a later stage"
    fi
    mkdir -p "${folder}"
    rm -f "${folder}/.done"
    printf '%s\n' "${wanted}" >"${folder}/.inputs.part"
    mv "${folder}/.inputs.part" "${folder}/.inputs"
}

# clear_folder FOLDER: remove what was made from other inputs.
clear_folder() {
    find "$1" -mindepth 1 -maxdepth 1 -not -name .inputs -exec rm -rf {} +
}

finish() {
    touch "$1/.done"
}
