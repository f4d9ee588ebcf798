# Sourced by test.sh and demo.sh: installs what is missing, on Debian and its relatives.

# What the voice loop needs beyond the library, to be built and to run.
voice_packages="libpocketsphinx-dev libsphinxbase-dev pocketsphinx-en-us espeak-ng portaudio19-dev
    libsndfile1-dev libspeexdsp-dev libjansson-dev libcurl4-openssl-dev"

# A sound server in place of a card, for its tests.
sound_packages="pulseaudio pulseaudio-utils libasound2-plugins"

# need PACKAGE...: installs those that are not there. Elsewhere it names them and goes on, since
# they may be there under other names.
need() {
    missing=
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q ' installed$' ||
            missing="$missing $package"
    done
    [ -z "$missing" ] && return 0
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "no apt-get here; if the build fails, install:$missing" >&2
        return 0
    fi
    root=
    if [ "$(id -u)" -ne 0 ]; then
        root=sudo
        if ! command -v sudo >/dev/null 2>&1; then
            echo "missing, and neither root nor sudo to install them:$missing" >&2
            return 1
        fi
    fi
    echo "installing:$missing" >&2
    case $missing in
    *:arm64*)
        dpkg --print-foreign-architectures | grep -qx arm64 || $root dpkg --add-architecture arm64
        ;;
    esac
    $root apt-get update -qq >/dev/null &&
        DEBIAN_FRONTEND=noninteractive $root apt-get install -y -qq --no-install-recommends \
            $missing >/dev/null
}
