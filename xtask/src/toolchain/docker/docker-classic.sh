#!/bin/sh
# What `cargo xtask` hands to wrangler as `docker` where the engine has no buildx or no registry answers.
# Everything but `pull` and `build` passes through unchanged.
docker='@DOCKER@'
buildx='@BUILDX@'
# For sed: from each pinned image that a stand-in takes the place of, to the name that this has.
stood_in='@STOOD_IN@'

case "${1-}" in
pull)
    # An image that exists here needs no registry: this is how stand-in images are used.
    for word in "$@"; do
        case "$word" in
        pull | -* | linux/*) ;;
        *) "$docker" image inspect "$word" >/dev/null 2>&1 && exit 0 ;;
        esac
    done
    ;;
build)
    # Every word is looked at once and put back behind the others, unless it is left out: a flag that only buildx knows where
    # there is none, and the file where another one stands in.
    [ "$buildx" = no ] && classic=yes || classic=
    file=
    left=$#
    while [ "$left" -gt 0 ]; do
        word=$1
        shift
        left=$((left - 1))
        case "$word" in
        --load | --provenance=* | --platform | --platform=*) leave_out=$classic ;;
        -f | --file | --file=*) leave_out=$stood_in ;;
        *) leave_out= ;;
        esac
        if [ -z "$leave_out" ]; then
            set -- "$@" "$word"
            continue
        fi
        case "$word" in
        --file=*) file=${word#--file=} ;;
        -f | --file | --platform)
            # Its value is the next word.
            [ "$word" = --platform ] || file=$1
            shift
            left=$((left - 1))
            ;;
        esac
    done
    if [ -n "$classic" ]; then
        export DOCKER_BUILDKIT=0
    fi
    if [ -n "$stood_in" ]; then
        # The context stands last.
        dockerfile=$(sed -e "$stood_in" "${file:-$word/Dockerfile}") || exit
        shift
        exec "$docker" build --file - "$@" <<END
$dockerfile
END
    fi
    ;;
esac
exec "$docker" "$@"
