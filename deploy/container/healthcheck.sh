# Ends with 0 if the exporter in this container answers, with 1 if it does not.
#
# bash speaks TCP itself, which costs a fraction of starting Python for HTTP and TLS. The request is
# plain HTTP in any case: an exporter with TLS hangs up on it at once, which shows that it serves, and
# no certificate is needed.

timeout=4 # seconds; less than the Dockerfile gives

# Where it listens is in the container's command, unless HEALTHCHECK_URL says otherwise.
address=:8426
mapfile -d '' -t command </proc/1/cmdline
for ((at = 0; at < ${#command[@]}; at++)); do
    case ${command[at]} in
    --web.listen-address=*) address=${command[at]#*=} ;;
    --web.listen-address) address=${command[at + 1]} ;;
    esac
done
address=${HEALTHCHECK_URL:-$address}
address=${address#*://}
address=${address%%/*}
host=${address%:*}
host=${host#[}
host=${host%]}
case $host in
"" | 0.0.0.0) host=127.0.0.1 ;;
::) host=::1 ;;
esac

exec 3<>"/dev/tcp/$host/${address##*:}" || exit 1 # bash says why
printf 'GET /-/healthy HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&3
read -r -t "$timeout" -u 3 _ status _
if (($? > 128)); then
    echo "no answer within $timeout s"
    exit 1
fi
# 401 or 429 shows just as well that it serves, and so does 404 behind a route prefix.
if [[ $status == 5?? ]]; then
    echo "status $status"
    exit 1
fi
