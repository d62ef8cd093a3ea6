# tools/packages.sh - installs Debian packages that are missing; sourced by ./run and ./test.
#
#   need_packages WHAT PACKAGE...   says which of them are missing and installs those
#
# Uses sudo when not root. Where apt cannot be reached the error says which packages to install.

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

need_packages() {
    local what=$1 package missing=()
    shift
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' ||
            missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    echo "Installing Debian packages for $what: ${missing[*]}"
    local log
    log=$(mktemp)
    # The lists of a fresh machine are empty or old; an install that fails asks for new ones once.
    if ! as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
            "${missing[@]}" >"$log" 2>&1; then
        as_root apt-get update >"$log" 2>&1 || true
        if ! as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y \
                --no-install-recommends "${missing[@]}" >>"$log" 2>&1; then
            tail -n 5 "$log" >&2
            rm -f "$log"
            echo "Could not install them. By hand: apt-get install ${missing[*]}" >&2
            return 1
        fi
    fi
    rm -f "$log"
}

# What building and running the program takes; ./test needs it too.
BUILD_PACKAGES=(gcc g++ libc6-dev meson ninja-build pkg-config
    liblmdb-dev libvips-dev libmicrohttpd-dev libsimdjson-dev libcurl4-gnutls-dev
    libgnutls28-dev libzstd-dev libxxhash-dev libchafa-dev zlib1g-dev libdnnl-dev libicu-dev
    libstemmer-dev libpcre2-dev
    libcmocka-dev)
