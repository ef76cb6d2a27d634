"""The chart: an upgrade keeps keys, certificates and mail; and the keys that it makes are good."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.verification import PolicyBuilder, Store
from postroom_admin.tokens import read_tokens
from postroom_auth.sealing import Sealer, read_keys
from postroom_chassis.tickets import (
    Ticket,
    TicketSigner,
    TicketVerifier,
    read_signing_key,
    read_verification_keys,
)

from tests.deploy.chart import VARIANTS, Object, helm, of_kind, pods, render, variant
from tests.deploy.cluster import cluster

HOUSE = {"hostname": "mail.example.org"}
COMPONENTS = ("auth", "store", "smtp", "imap", "pop3", "admin")
TICKET = Ticket(1, "ann@example.org", frozenset({"mail"}), 4_000_000_000)


def secrets_of(objects: list[Object]) -> dict[str, dict[str, bytes]]:
    """What the Secrets hold, by name without the release's."""
    return {
        name.removeprefix("mail-postroom-"): {
            key: base64.b64decode(value) for key, value in secret["data"].items()
        }
        for name, secret in of_kind(objects, "Secret").items()
    }


def upgraded(before: list[Object], values: Object) -> list[Object]:
    with cluster(before) as there:
        return render(values, cluster=there)


# Keys and certificates.


def test_an_upgrade_finds_every_key_and_certificate_again() -> None:
    before = render(HOUSE)
    assert secrets_of(upgraded(before, HOUSE)) == secrets_of(before)
    # Without what it finds, each is another.
    again = secrets_of(render(HOUSE))
    assert all(again[name] != held for name, held in secrets_of(before).items())


def test_a_name_more_brings_another_certificate_for_clients_alone() -> None:
    before = render(HOUSE)
    after = upgraded(before, HOUSE | {"tls": {"hosts": ["imap.example.org"]}})
    changed = {name for name, held in secrets_of(after).items() if held != secrets_of(before)[name]}
    assert changed == {"tls"}
    shown = certificate(secrets_of(after)["tls"]["tls.crt"])
    assert names_of(shown)[:2] == ["mail.example.org", "imap.example.org"]
    # The API is asked within the cluster.
    assert names_of(shown)[2].startswith("mail-postroom-admin.")
    shown.verify_directly_issued_by(certificate(secrets_of(before)["authority"]["tls.crt"]))


def test_a_service_more_gets_its_certificate_from_the_same_authority() -> None:
    before = render(HOUSE | {"pop3": {"enabled": False}})
    assert "pop3-rpc" not in secrets_of(before)
    after = secrets_of(upgraded(before, HOUSE))
    verify(after["pop3-rpc"], "pop3")
    assert after["pop3-rpc"]["ca.crt"] == secrets_of(before)["authority"]["tls.crt"]


def test_what_another_authority_has_signed_is_not_taken() -> None:
    before, others = render(HOUSE), secrets_of(render(HOUSE))
    for name, secret in of_kind(before, "Secret").items():
        if name in ("mail-postroom-imap-rpc", "mail-postroom-tls"):
            held = others[name.removeprefix("mail-postroom-")]
            secret["data"] = {key: base64.b64encode(value).decode() for key, value in held.items()}
    after = secrets_of(upgraded(before, HOUSE))
    authority = certificate(after["authority"]["tls.crt"])
    for name in ("imap-rpc", "tls"):
        certificate(after[name]["tls.crt"]).verify_directly_issued_by(authority)
    assert after["smtp-rpc"] == secrets_of(before)["smtp-rpc"]


def test_secrets_of_the_chart_and_of_cert_manager_have_other_names() -> None:
    """Helm takes over no Secret that it hasn't made, and cert-manager any."""
    made = of_kind(variant("cert-manager"), "Certificate").values()
    assert {one["spec"]["secretName"] for one in made}.isdisjoint(
        of_kind(variant("minimal"), "Secret")
    )


def test_a_volume_with_files_is_not_that_with_a_database() -> None:
    """Their access modes differ, and a claim's can't be changed."""
    shared = of_kind(variant("shared-files"), "PersistentVolumeClaim")
    assert set(shared) == {"mail-postroom-store-blobs", "mail-postroom-auth"}
    (pod,) = (pod for pod in pods(variant("shared-files")) if pod.component == "store")
    (data,) = (volume for volume in pod.spec["volumes"] if volume["name"] == "data")
    assert data["persistentVolumeClaim"] == {"claimName": "mail-postroom-store-blobs"}


@pytest.mark.parametrize("service", COMPONENTS)
def test_each_service_is_known_by_its_certificate(service: str) -> None:
    verify(secrets_of(render(HOUSE))[f"{service}-rpc"], service)


def verify(held: dict[str, bytes], service: str) -> None:
    """As callee and as caller."""
    leaf, authority = certificate(held["tls.crt"]), certificate(held["ca.crt"])
    assert names_of(leaf) == [f"{service}.postroom"]
    builder = PolicyBuilder().store(Store([authority]))
    builder.build_server_verifier(x509.DNSName(f"{service}.postroom")).verify(leaf, [])
    builder.build_client_verifier().verify(leaf, [])
    key = load_pem_private_key(held["tls.key"], None)
    assert key.public_key() == leaf.public_key()


def certificate(pem: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem)


def names_of(shown: x509.Certificate) -> list[str]:
    extension = shown.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return extension.value.get_values_for_type(x509.DNSName)


def test_store_believes_the_tickets_that_auth_signs() -> None:
    held = secrets_of(render(HOUSE))["ticket"]
    signed = TicketSigner(read_signing_key(held["ticket.key"])).sign(TICKET)
    verifier = TicketVerifier(read_verification_keys([held["ticket.pub"]]))
    assert verifier.verify(signed) == TICKET


def test_auth_alone_has_the_key_that_signs() -> None:
    seen = {
        pod.component: [item["key"] for item in volume["secret"]["items"]]
        for pod in pods(variant("minimal"))
        for volume in pod.spec["volumes"]
        if volume.get("secret", {}).get("secretName") == "mail-postroom-ticket"
    }
    assert seen == {"auth": ["ticket.key"], "store": ["ticket.pub"]}


def test_auth_seals_with_the_key_that_is_made() -> None:
    keys = read_keys(secrets_of(render(HOUSE))["secrets-keys"]["secrets.keys"].decode())
    assert Sealer(keys)


def test_the_api_knows_the_token_that_is_made() -> None:
    held = secrets_of(render(HOUSE))["api-tokens"]
    (known,) = read_tokens(held["api-tokens"].decode())
    digest = hashlib.sha256(held["token"]).hexdigest()
    assert (known.name, known.digest) == ("helm", digest)


def test_who_brings_all_secrets_gets_none() -> None:
    assert of_kind(variant("secrets"), "Secret", "Issuer", "Certificate") == {}


def test_cert_manager_makes_a_certificate_for_each_service() -> None:
    made = of_kind(variant("cert-manager"), "Certificate")
    for service in COMPONENTS:
        spec = made[f"mail-postroom-{service}-rpc"]["spec"]
        assert spec["dnsNames"] == [f"{service}.postroom"]
        assert {"server auth", "client auth"} <= set(spec["usages"])
        assert spec["issuerRef"]["name"] == "mail-postroom-authority"
    public = made["mail-postroom-tls"]["spec"]
    assert public["dnsNames"] == ["mail.example.org", "smtp.example.org", "imap.example.org"]
    assert public["issuerRef"] == {"name": "letsencrypt", "kind": "ClusterIssuer"}
    mounted = {
        volume["secret"]["secretName"]
        for pod in pods(variant("cert-manager"))
        for volume in pod.spec["volumes"]
        if volume["name"] in ("rpc", "tls")
    }
    assert mounted == {spec["spec"]["secretName"] for spec in made.values()} - {
        "mail-postroom-authority-certificate"
    }


# What Kubernetes lets nobody change: no version of the chart may ever change it.

FIXED = {
    ("StatefulSet", "mail-postroom-store"): "store",
    ("Deployment", "mail-postroom-auth"): "auth",
    ("Deployment", "mail-postroom-smtp"): "smtp",
    ("Deployment", "mail-postroom-imap"): "imap",
    ("Deployment", "mail-postroom-pop3"): "pop3",
    ("Deployment", "mail-postroom-admin"): "admin",
}


def test_what_cant_be_changed_stays() -> None:
    found: dict[tuple[str, str], Any] = {}
    for name, made in of_kind(variant("minimal"), "Deployment", "StatefulSet").items():
        found[made["kind"], name] = made["spec"]["selector"]
    assert found == {
        key: {
            "matchLabels": {
                "app.kubernetes.io/name": "postroom",
                "app.kubernetes.io/instance": "mail",
                "app.kubernetes.io/component": component,
            }
        }
        for key, component in FIXED.items()
    }
    store = of_kind(variant("minimal"), "StatefulSet")["mail-postroom-store"]["spec"]
    assert store["serviceName"] == "mail-postroom-store"
    assert store["podManagementPolicy"] == "Parallel"
    assert "volumeClaimTemplates" not in store
    claims = of_kind(variant("minimal"), "PersistentVolumeClaim")
    assert set(claims) == {"mail-postroom-store", "mail-postroom-auth"}


def test_mail_in_files_is_not_left_behind() -> None:
    database = {"type": "postgresql", "urlSecret": {"name": "s"}}
    files = {"database": database, "blobs": "fs", "persistence": {"accessModes": ["ReadWriteMany"]}}
    before = render(HOUSE | {"store": files})
    with pytest.raises(helm.HelmRenderError, match="mail lies in files"):
        upgraded(before, HOUSE | {"store": files | {"blobs": "sql"}})


def test_a_larger_volume_changes_its_size_alone() -> None:
    before = of_kind(render(HOUSE), "PersistentVolumeClaim")["mail-postroom-store"]
    larger = HOUSE | {"store": {"persistence": {"size": "200Gi"}}}
    after = of_kind(render(larger), "PersistentVolumeClaim")["mail-postroom-store"]
    assert after["spec"]["resources"]["requests"]["storage"] == "200Gi"
    after["spec"]["resources"] = before["spec"]["resources"]
    assert after == before


def test_whoever_turns_autoscaling_on_keeps_the_pods_that_there_are() -> None:
    before = render(HOUSE | {"imap": {"replicas": 7}})
    scaled = HOUSE | {"imap": {"autoscaling": {"enabled": True}}}
    after = of_kind(upgraded(before, scaled), "Deployment")["mail-postroom-imap"]
    assert after["spec"]["replicas"] == 7
    # At first there are none, and the autoscaler says how many there are to be.
    assert "replicas" not in of_kind(render(scaled), "Deployment")["mail-postroom-imap"]["spec"]


@pytest.mark.parametrize("name", VARIANTS)
def test_owners_on_postgresql_are_migrated_before_their_pods(name: str) -> None:
    jobs = of_kind(variant(name), "Job")
    wanted = {
        "postgresql": {"mail-postroom-auth-migrations", "mail-postroom-store-migrations"},
    }.get(name, set())
    assert set(jobs) == wanted
    for job in jobs.values():
        assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
        (pod,) = pods([job])
        # Before an install there is nothing of the chart's.
        own = of_kind(variant(name), "Secret")
        for volume in pod.spec["volumes"]:
            assert volume.get("secret", {}).get("secretName") not in own
