"""The network that an address is counted for."""

import pytest
from postroom_chassis.net.address import network_of


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::2", "2001:db8::/64"),
        ("2001:DB8:1:2::", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
    ],
)
def test_what_an_address_is_counted_for(address: str, network: str) -> None:
    assert network_of(address) == network


@pytest.mark.parametrize("address", ["", "mail.example.org", "192.0.2.1:25", "[::1]", "1" * 10_000])
def test_what_is_no_ip_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match=r"not appear to be"):
        network_of(address)
