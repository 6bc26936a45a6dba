#!/bin/sh
# The secrets of many.yaml, drawn at random into a folder that only its owner can enter. What is there is kept.
set -eu
folder=${1:-$(dirname "$0")/secrets}
if [ -e "$folder" ]; then
  echo "$folder is there already and stays as it is." >&2
  exit 1
fi
mkdir -p -m 700 "$folder"
cd "$folder"

drawn() {
  od -An -N"$1" -tx1 /dev/urandom | tr -d ' \n'
}

password=$(drawn 24)
key_id=$(drawn 10)
key=$(drawn 20)
printf %s "$password" > database_password
printf %s "postgresql://rushes:$password@postgres/rushes" > database_url
printf %s "$key_id" > objects_key_id
printf %s "$key" > objects_key
cat > objects_keys.json << END
{"identities": [
  {"name": "rushes", "credentials": [{"accessKey": "$key_id", "secretKey": "$key"}], "actions": ["Admin"]}
]}
END
# Containers see each file as it lies here, and read it as a user of their own; nobody else gets past the folder.
chmod 644 ./*
