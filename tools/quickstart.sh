#!/bin/sh
# `make quickstart`: installs what is missing, then runs site.yml on this machine and shows what long steps are doing.
# MODEL=deepseek takes the real model from Hugging Face instead of the demo model.
set -eu
cd "$(dirname "$0")/.."

case ${MODEL:-demo} in
  demo) ;;
  deepseek)
    cat <<'SAID'
DeepSeek-R1-Distill-Qwen-1.5B from Hugging Face (MIT licence), converted and quantised on this machine
  download  3.6 GB of model, 0.3 GB of tools; what has come stays, also when it is cut off
  disk      8 GB in the end, 12 GB while it is converted
  memory    4 GB, 2 GB once it is served
  time      the download, and about 15 minutes on two cores the first time (estimated); then seconds
SAID
    QUICKSTART_ARGS="-e @playbooks/vars/deepseek.yml ${QUICKSTART_ARGS:-}"
    ;;
  *)
    echo "MODEL is '$MODEL'; it can be demo or deepseek. Another one: see playbooks/vars/deepseek.yml" >&2
    exit 2
    ;;
esac
echo "Private AI chat on one machine"
echo "  1. packages and Ansible  2. images (the first time: minutes)  3. model, gateway, chatbot"
tools/bootstrap.sh

mkdir -p .cache
PRIVATE_AI_PROGRESS_FILE=$PWD/.cache/progress.log
export PRIVATE_AI_PROGRESS_FILE
: >"$PRIVATE_AI_PROGRESS_FILE"

# Modules append plain lines while Ansible is silent. sed puts them apart from Ansible's own.
tail -n +1 -F "$PRIVATE_AI_PROGRESS_FILE" 2>/dev/null | sed -u 's/^/    ... /' &
watcher=$!
# shellcheck disable=SC2317,SC2329  # the trap calls it
stop_watching() {
  # The pipe's two halves: tail ends sed.
  pkill -P $$ -x tail 2>/dev/null || kill "$watcher" 2>/dev/null || true
}
trap stop_watching EXIT
trap 'exit 130' INT TERM

status=0
# shellcheck disable=SC2086  # several words are meant
.venv/bin/ansible-playbook -i inventories/quickstart site.yml ${QUICKSTART_ARGS:-} || status=$?
if [ "$status" != 0 ]; then
  echo "The quickstart stopped (status $status). The message above says why and what helps; then run it again." >&2
fi
exit "$status"
