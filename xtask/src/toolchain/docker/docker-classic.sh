#!/bin/sh
# What `cargo xtask` hands to wrangler as `docker` where the engine has no buildx or no registry answers.
# Everything but `pull` and `build` passes through unchanged.
docker='@DOCKER@'
buildx='@BUILDX@'

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
        DOCKER_BUILDKIT=0 exec "$docker" "$@"
    fi
    ;;
esac
exec "$docker" "$@"
