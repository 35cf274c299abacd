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
    if [ "$buildx" = no ]; then
        # Flags that only buildx knows; every word is looked at once and put back behind the others.
        left=$#
        while [ "$left" -gt 0 ]; do
            word=$1
            shift
            left=$((left - 1))
            case "$word" in
            --load | --provenance=* | --platform=*) ;;
            --platform)
                shift
                left=$((left - 1))
                ;;
            *) set -- "$@" "$word" ;;
            esac
        done
        export DOCKER_BUILDKIT=0
    fi
    if [ -n "$stood_in" ]; then
        file=
        left=$#
        while [ "$left" -gt 0 ]; do
            word=$1
            shift
            left=$((left - 1))
            case "$word" in
            -f | --file)
                file=$1
                shift
                left=$((left - 1))
                ;;
            --file=*) file=${word#--file=} ;;
            *) set -- "$@" "$word" ;;
            esac
        done
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
