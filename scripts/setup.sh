# shellcheck shell=bash
# Sourced by demo, test and check. `set_up EXTRAS` brings .venv to what pyproject.toml and constraints.txt say.

root=$(CDPATH='' cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/.venv

# True where command $1 is a Python from 3.11 to 3.$2.
is_python() {
  "$1" -c "import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, $2))" 2>/dev/null
}

# The name of a Python to build with. TensorFlow, which some tests need, ends at 3.13: a newer one comes last.
find_python() {
  local newest name
  for newest in 13 99; do
    for name in python3 python3.13 python3.12 python3.11; do
      if is_python "$name" "$newest"; then
        echo "$name"
        return
      fi
    done
  done
  name=$(python3 --version 2>/dev/null || echo "no Python 3")
  echo "Tenfold needs Python 3.11 or later. Received: $name. Install one (https://www.python.org/downloads) and run this again." >&2
  return 1
}

# EXTRAS, for example "dev,export,tensorflow"; empty for Tenfold alone. At once where they are installed already.
set_up() {
  local extras=$1 size="1.5 GB" python stamp=$venv/.installed want
  if ! is_python "$venv/bin/python" 99; then
    python=$(find_python)
    "$python" -m venv --clear "$venv" || { rm -rf "$venv"; exit 1; }
  fi
  if [[ $extras == *,tensorflow ]] && ! is_python "$venv/bin/python" 13; then
    extras=${extras%,tensorflow} # no build of it for this Python yet; the tests that need it skip and say so
  fi

  # An environment with more extras serves those who ask for fewer; one that was moved is installed anew.
  want="$root $(cat "$root/pyproject.toml" "$root/constraints.txt" | cksum) "
  if [[ -f $stamp && $(<"$stamp") == "$want"*"$extras" ]]; then
    return
  fi
  [[ -n $extras ]] && size="3 GB"
  echo "Setting up .venv (about $size with the CPU build of PyTorch, once) ..." >&2
  "$venv/bin/python" -m pip --version >/dev/null 2>&1 || "$venv/bin/python" -m ensurepip >/dev/null
  rm -f "$stamp"
  # Twice quiet: errors only.
  if ! "$venv/bin/python" -m pip install -qq --disable-pip-version-check \
    -c "$root/constraints.txt" -e "$root${extras:+[$extras]}"; then
    echo "Setting up .venv failed. See all of pip's words: .venv/bin/pip install -c constraints.txt -e '.${extras:+[$extras]}'" >&2
    exit 1
  fi
  echo "$want$extras" >"$stamp"
}
