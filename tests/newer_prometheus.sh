#!/bin/sh
# Puts Prometheus, promtool and Alertmanager of a newer Debian into a folder, below usr/bin. They
# come from the machine's own mirror; what is installed, and what apt knows, stay as they are.
set -eu

suite=forky
folder=$1

fail() {
    [ ! -e log ] || cat log >&2
    echo "No Prometheus of Debian $suite: $1" >&2
    exit 1
}

command -v apt-get >/dev/null 2>&1 || fail "this machine has no apt-get. The tests need Debian."
for keyring in /usr/share/keyrings/debian-archive-keyring.*; do :; done
[ -e "$keyring" ] || fail "the package debian-archive-keyring is not installed."

rm -rf "$folder"
mkdir -p "$folder/apt/lists/partial" "$folder/apt/archives/partial"
cd "$folder/apt"

# Hooks that run after an update are about the machine's own lists.
cat >apt.conf <<END
#clear APT::Update;
APT::Update::Error-Mode "any";
APT::Default-Release "$suite";
APT::Sandbox::User "root";
Acquire::Languages "none";
Dir::Cache "$PWD";
Dir::Etc::SourceList "$PWD/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::State "$PWD";
Dir::State::Status "/dev/null";
END
# The first repository of the machine's that has the suite. No other signature than Debian's will do.
apt-get indextargets --no-release-info --format '$(REPO_URI) $(COMPONENT)' 'Created-By: Packages' |
    sed -n 's/ main$//p' | sort -u >repositories
[ -s repositories ] || fail "apt knows no repository. See /etc/apt/sources.list.d."
found=
while [ -z "$found" ] && read -r repository; do
    echo "deb [signed-by=$keyring] $repository $suite main" >sources.list
    if apt-get -c apt.conf update >>log 2>&1 </dev/null; then found=$repository; fi
done <repositories
[ -n "$found" ] || fail "no repository that apt knows has it. See above."
apt-get -c apt.conf download prometheus promtool prometheus-alertmanager >>log 2>&1 ||
    fail "its packages cannot be fetched. See above."

for package in *.deb; do
    dpkg-deb --extract "$package" ..
done
cd .. && rm -r apt
for program in prometheus promtool prometheus-alertmanager amtool; do
    "usr/bin/$program" --version >/dev/null 2>&1 || fail "$program does not run on this machine."
done
