#!/usr/bin/env bash
# Stage 1: make data/{train_all,dev_sub,test_speech,test_sound,test_music}.
set -euo pipefail

help_message="Usage: local/data.sh [--corpus open|open_more|clips|folders|paper] [options]
  --corpus         open: ten Debian packages of speech, sound and music, fetched with apt (0.6 GB)
                   open_more: those and 69 more packages (5.6 GB) for training and validation
                   clips: the twelve clips that come with the package (for trying the recipe)
                   folders: any folders of audio
                   paper: the corpora whose paths are in db.sh            (default: ${corpus:=open})
  --data           where the sets go                                      (default: data)
  --downloads      where packages and formatted segments go                 (default: downloads)
  --nj             processes                                              (default: number of CPUs)
  --seed           of all choices made here                               (default: 0)
open, open_more:
  --packages       only these packages, with spaces between; sets that they have nothing for are left out
  --join_seconds   two: clips shorter than the first are joined to segments of between them (default: 4 10)
  --augment_hours  add seeded variants of the training segments until there are so many hours; 0: none
  --domain_seconds take so many seconds of every domain and set only; 0: all
folders:
  --speech_dirs --sound_dirs --music_dirs   folders, with spaces between
  --valid_share --test_share                of the files                  (default: 0.05)
paper:
  --libritts --audioset --fsd50k --esc50 --musdb18   where they lie       (default: as db.sh says)"

data=data
downloads=downloads
nj=
seed=0
packages=
join_seconds=
augment_hours=0
domain_seconds=0
speech_dirs=
sound_dirs=
music_dirs=
valid_share=0.05
test_share=0.05
. ./db.sh
# shellcheck disable=SC2034  # read by name below
{
    libritts=${LIBRITTS}
    audioset=${AUDIOSET}
    fsd50k=${FSD50K}
    esc50=${ESC50}
    musdb18=${MUSDB18}
}

. utils/parse_options.sh
. utils/common.sh
. ./path.sh

[ $# -eq 0 ] || die "$1: no such argument; --help lists the options"
nj=${nj:-$(available_cpus)}

open_corpus() {
    local folder=$1 part dset
    local lists=${folder}/lists segments=${folder}/segments
    local -a options=("${@:2}") names join
    words names "${packages}"
    words join "${join_seconds}"
    [ -z "${packages}" ] || options+=(--packages "${names[@]}")
    python3 local/open_corpus.py --download "${options[@]}" --debs "${downloads}/debs" \
        --pool "${downloads}/pool" --data "${lists}" --nj "${nj}" --seed "${seed}"
    for part in train valid test_speech test_sound test_music; do
        options=(--domain_seconds "${domain_seconds}")
        [ -z "${join_seconds}" ] || options+=(--join_seconds "${join[@]}")
        case ${part} in
            train) dset=train_all ;;
            valid) dset=dev_sub ;;
            *) dset=${part} options+=(--as_is) ;;
        esac
        if [ "$(count_lines "${lists}/${part}/clips.tsv")" -le 1 ]; then
            log "${dset}: there is nothing for it in these packages"
            continue
        fi
        python3 local/format_audio.py "${options[@]}" --pool "${downloads}/pool" --nj "${nj}" \
            --seed "${seed}" "${lists}/${part}/clips.tsv" "${segments}/${dset}"
        if [ "${part}" = train ] && [ "${augment_hours}" != 0 ]; then
            python3 local/augment.py "${segments}/train_all" "${segments}/train_aug" \
                --hours "${augment_hours}" --nj "${nj}" --seed "${seed}"
            copy_tables "${segments}/train_aug" "${data}/${dset}"
        else
            copy_tables "${segments}/${dset}" "${data}/${dset}"
        fi
    done
}

copy_tables() {
    mkdir -p "$2"
    cp "$1"/utt2* "$2/"
    cp "$1/wav.scp" "$2/wav.scp.part"
    mv "$2/wav.scp.part" "$2/wav.scp"
}

packaged_clips() {
    local clips=${downloads}/clips domain from
    from=$(python3 -c 'from importlib.resources import files
print(files("espnet2.gan_codec.bscodec.demo") / "clips")')
    for domain in speech sound music; do
        rm -rf "${clips:?}/${domain}"
        mkdir -p "${clips}/${domain}"
        cp -p "${from}/${domain}"_*.flac "${clips}/${domain}"
    done
    python3 local/audio_folders.py --speech_dirs "${clips}/speech" --sound_dirs "${clips}/sound" \
        --music_dirs "${clips}/music" --valid_share 0.25 --test_share 0.25 \
        --data "${data}" --nj 1 --seed "${seed}"
}

audio_folders() {
    local -a speech sound music
    words speech "${speech_dirs}"
    words sound "${sound_dirs}"
    words music "${music_dirs}"
    python3 local/audio_folders.py --speech_dirs "${speech[@]}" --sound_dirs "${sound[@]}" \
        --music_dirs "${music[@]}" --valid_share "${valid_share}" --test_share "${test_share}" \
        --data "${data}" --nj "${nj}" --seed "${seed}"
}

paper_corpora() {
    local name
    local -a options=()
    for name in libritts audioset fsd50k esc50 musdb18; do
        if [ -n "${!name}" ]; then
            options+=("--${name}" "${!name}")
        fi
    done
    python3 local/paper_corpora.py "${options[@]}" --data "${data}" --nj "${nj}" --seed "${seed}"
}

case ${corpus} in
    open) open_corpus "${downloads}/open_corpus" ;;
    open_more) open_corpus "${downloads}/open_more" --more ;;
    clips) packaged_clips ;;
    folders) audio_folders ;;
    paper) paper_corpora ;;
    *) die "--corpus ${corpus}: expected open, open_more, clips, folders or paper" ;;
esac
