"""Which proxy the environment names: no connection is made here."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.api.proxy import Proxy, choose
from exporter.config import ConfigError
from exporter.model import Secret

API = "app.viam.com:443"
HTTPS, HTTP, EVERY = "http://https.example:1", "http://http.example:2", "http://all.example:3"


@pytest.mark.parametrize(
    ("environ", "address", "variable"),
    [
        ({"https_proxy": HTTPS, "http_proxy": HTTP}, "https.example:1", "https_proxy"),
        ({"http_proxy": HTTP, "all_proxy": EVERY}, "http.example:2", "http_proxy"),
        ({"all_proxy": EVERY}, "all.example:3", "all_proxy"),
        ({"HTTPS_PROXY": HTTPS}, "https.example:1", "HTTPS_PROXY"),
        ({"HTTP_PROXY": HTTP}, "http.example:2", "HTTP_PROXY"),
        ({"ALL_PROXY": EVERY}, "all.example:3", "ALL_PROXY"),
        ({"HTTPS_PROXY": HTTPS, "http_proxy": HTTP}, "https.example:1", "HTTPS_PROXY"),
        ({"https_proxy": HTTPS, "HTTPS_PROXY": HTTP}, "https.example:1", "https_proxy"),
        ({"https_proxy": " ", "all_proxy": EVERY}, "all.example:3", "all_proxy"),
        ({"https_proxy": "proxy.example:3128"}, "proxy.example:3128", "https_proxy"),
        ({"https_proxy": "HTTP://proxy.example/"}, "proxy.example:80", "https_proxy"),
        ({"https_proxy": "http://[2001:db8::1]"}, "[2001:db8::1]:80", "https_proxy"),
        ({"https_proxy": "http://@proxy.example:1"}, "proxy.example:1", "https_proxy"),
        ({"https_proxy": "http://127.0.0.1:3128"}, "127.0.0.1:3128", "https_proxy"),
    ],
)
def test_the_first_variable_that_is_set_names_the_proxy(
    environ: dict[str, str], address: str, variable: str
) -> None:
    """`https_proxy`, `http_proxy`, `all_proxy`, each before its form in upper case."""
    assert choose(API, environ) == Proxy(address, variable)


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"https_proxy": ""},
        {"https_proxy": "", "HTTPS_PROXY": HTTPS},
        {"grpc_proxy": HTTP, "GRPC_ADDRESS_HTTP_PROXY": "192.0.2.1:1"},
    ],
)
def test_nothing_else_names_a_proxy(environ: dict[str, str]) -> None:
    """An empty name in lower case hides the one in upper case."""
    assert choose(API, environ) is None


@pytest.mark.parametrize(
    "api",
    [
        "localhost:443",
        "LocalHost.:443",
        "api.localhost:443",
        "127.0.0.1:443",
        "127.8.8.8:443",
        "127.1:443",
        "0.0.0.0:443",
        "[::1]:443",
        "[::]:443",
        "[::ffff:127.0.0.1]:443",
    ],
)
@pytest.mark.parametrize("proxy", [HTTPS, "socks5://proxy.example:1", "nonsense:"])
def test_this_machine_is_never_reached_through_a_proxy(api: str, proxy: str) -> None:
    """A proxy would take it for itself. So it does not matter whether it could be used."""
    assert choose(api, {"https_proxy": proxy, "HTTP_PROXY": proxy}) is None


EXEMPT = [
    ("app.viam.com:443", "*"),
    ("app.viam.com:443", "other.example, *"),
    ("app.viam.com:443", "app.viam.com"),
    ("App.Viam.com:443", "APP.viam.COM"),
    ("app.viam.com.:443", "app.viam.com"),
    ("app.viam.com:443", "app.viam.com."),
    ("app.viam.com:443", "viam.com"),
    ("app.viam.com:443", ".viam.com"),
    ("viam.com:443", ".viam.com"),
    ("app.viam.com:443", "*.viam.com"),
    ("app.viam.com:443", "localhost,127.0.0.1 .viam.com"),
    ("app.viam.com:443", "app.viam.com:443"),
    ("app.viam.com:443", "*:443"),
    ("10.1.2.3:443", "10.1.2.3"),
    ("10.1.2.3:443", "10.1.2.3:443"),
    ("10.1.2.3:443", "10.0.0.0/8"),
    ("10.1.2.3:443", "10.9.9.9/8"),
    ("[::ffff:10.1.2.3]:443", "10.0.0.0/8"),
    ("[fd00::1]:443", "fd00::/8"),
    ("[fd00::1]:443", "fd00:0::1"),
    ("[fd00::1]:443", "[fd00::1]"),
    ("[fd00::1]:443", "[fd00::1]:443"),
]
NOT_EXEMPT = [
    ("app.viam.com:443", ""),
    ("app.viam.com:443", " , . *. : / []"),
    ("app.viam.com:443", "iam.com"),
    ("app.viam.com:443", "p.viam.com"),
    ("app.viam.com:443", "other.app.viam.com"),
    ("viam.com:443", "app.viam.com"),
    ("app.viam.com:443", "app.viam.com:8443"),
    ("app.viam.com:443", "10.0.0.0/8"),
    ("10.1.2.3:443", "2.3"),
    ("10.1.2.3:443", ".3"),
    ("10.1.2.3:443", "11.0.0.0/8"),
    ("10.1.2.3:443", "10.0.0.0/99"),
    ("10.1.2.3:443", "fd00::/8"),
    ("10.1.2.3:443", "10.1.2.3:8443"),
    ("[fd00::1]:443", "fd00::2"),
    ("[fd00::1]:443", "[fd00::1]:8443"),
]


@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
@pytest.mark.parametrize(("api", "exceptions"), EXEMPT)
def test_no_proxy_exempts(name: str, api: str, exceptions: str) -> None:
    """Everything, a host, a domain with what is below it, or a network in CIDR; with a port or not.

    A proxy that is not used may be of any kind.
    """
    assert choose(api, {"https_proxy": HTTPS, name: exceptions}) is None
    assert choose(api, {"all_proxy": "socks5://proxy.example:1", name: exceptions}) is None


@pytest.mark.parametrize(("api", "exceptions"), NOT_EXEMPT)
def test_no_proxy_exempts_nothing_else(api: str, exceptions: str) -> None:
    """Neither names that only end alike, nor another port; what makes no sense exempts nothing."""
    assert choose(api, {"https_proxy": HTTPS, "no_proxy": exceptions})


def test_an_empty_no_proxy_in_lower_case_hides_the_other() -> None:
    """As for the names of proxies."""
    assert choose(API, {"https_proxy": HTTPS, "no_proxy": "", "NO_PROXY": "*"})


@pytest.mark.parametrize(
    "value",
    [
        "socks5://user:s3cret@proxy.example:1080",
        "https://user:s3cret@proxy.example:443",
        "socks5h://s3cret",
        "s3cret://",
        "://s3cret",
        "http://",
        "http://user:s3cret@",
        "http://user:s3cret@:80",
        "http://user:s3cret@proxy.example:",
        "http://user:s3cret@proxy.example:0",
        "http://user:s3cret@proxy.example:65536",
        "http://user:s3cret@proxy.example:port",
        "http://user:12/s3cret@proxy.example:3128",
        "http://user:12#s3cret@proxy.example:3128",
        "http://user:s3cret@pro xy.example:3128",
        "http://user:s3cret@[::1",
        "http://user:s3cret@::1:80",
        "user:s3cret",
    ],
)
def test_a_proxy_that_cannot_be_used_is_refused(value: str) -> None:
    """In words that name the variable and repeat nothing of the value: it may be a password."""
    with pytest.raises(ConfigError, match=r"^environment: HTTPS_PROXY: must b") as caught:
        choose(API, {"HTTPS_PROXY": value})
    assert "s3cret" not in repr(caught.value) + str(caught.value)


@pytest.mark.parametrize(
    ("user_info", "credentials"),
    [
        ("user:password", "user:password"),
        ("user", "user:"),
        (":password", ":password"),
        ("user:p%40ss%2Fw%3Ard", "user:p@ss/w:rd"),
        ("user:p@ss:word", "user:p@ss:word"),
        ("dom%5Cuser:pässword", "dom\\user:pässword"),
        ("user:%0D%0AX: y", "user:\r\nX: y"),
    ],
)
def test_user_and_password_are_sent_and_never_shown(user_info: str, credentials: str) -> None:
    """They are percent-decoded, and go into one header, whatever is in them."""
    proxy = choose(API, {"https_proxy": f"http://{user_info}@proxy.example:3128"})
    assert proxy is not None
    assert str(proxy) == "http://proxy.example:3128"
    encoded = base64.b64encode(credentials.encode()).decode()
    header = f"Proxy-Authorization:Basic {encoded}"
    assert ("grpc.http_connect_headers", header) in proxy.channel_options(API)
    assert encoded not in repr(proxy)
    assert proxy.credentials == Secret(encoded)


@given(
    value=st.text() | st.text("htps:/@[]%.0123456789é\udcff").map("http://".__add__),
    exceptions=st.text() | st.text("a.*:[]/,0123456789\udcff"),
    api=st.sampled_from([API, "10.1.2.3:443", "[fd00::1]:443"]),
)
def test_any_environment_gives_a_proxy_none_or_a_reason(
    value: str, exceptions: str, api: str
) -> None:
    """Whatever somebody put into it; and a proxy that is chosen has a host and a port."""
    try:
        proxy = choose(api, {"https_proxy": value, "no_proxy": exceptions})
    except ConfigError:
        return
    assert proxy is None or proxy.address.rpartition(":")[2].isdecimal()
