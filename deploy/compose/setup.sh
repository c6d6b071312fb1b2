#!/bin/sh
# Makes an installation, starts compose.yaml, and issues a certificate: all files are in ./made.
# Needs docker with compose, openssl and sed. Run it once.
set -eu
cd "$(dirname "$0")"
host=api.demo.localhost
umask 077
mkdir -p made/authz made/tls
in_certgate() { docker compose exec -T certgate certgate "$@"; }

docker compose run --rm -T certgate init --zone demo.localhost --json > made/installation.json
docker compose up --detach --wait certgate
in_certgate host set "$host"
in_certgate token create authz --permission "Enforcement Points Write" > made/authz/authz.token
account=$(sed -n 's/.*"account_id": *"\([^"]*\)".*/\1/p' made/installation.json)
cat > made/authz/authz.toml <<END
api = "http://127.0.0.1:8787"
token_file = "/etc/certgate-authz/authz.token"
account = "$account"
state_dir = "/var/lib/certgate/authz"

[[listener]]
address = "127.0.0.1:9464"
certificate_from = "ssl-client-cert"
END
# The user of the image.
chown -R 65532:65532 made/authz

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 90 \
  -subj "/CN=$host" -addext "subjectAltName=DNS:$host" -out made/tls/api.pem -keyout made/tls/api.key
# The configuration of the page about nginx, with this host and port.
sed -n '/^upstream certgate_authz/,/^```/p' ../../docs/proxy-nginx.md | sed -e '/^```/d' \
  -e 's/listen 443 /listen 8443 /' -e "s/api\.example\.com/$host/" \
  -e 's,/etc/ssl/api\.,/etc/ssl/api/api.,' > made/api.conf
docker compose up --detach

# The key stays here: certgate gets the request only.
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=laptop \
  -keyout made/laptop.key -out made/laptop.csr
made=$(in_certgate cert issue --csr - -o json=certificate < made/laptop.csr)
printf '%b\n' "$(printf '%s' "$made" | sed -e 's/^{"certificate":"//' -e 's/"}$//')" \
  > made/laptop.crt
cat <<END
Ask with the certificate, then without it, then after: docker compose exec certgate certgate cert revoke laptop
  curl --cacert made/tls/api.pem --cert made/laptop.crt --key made/laptop.key https://$host:8443/
END
