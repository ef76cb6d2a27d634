"""Settings from the environment: strict, typed, every error told at once.

`POSTROOM_<SERVICE>_<FIELD>` sets a field; `POSTROOM_<SERVICE>_<FIELD>_FILE` names a file that holds
it, which is how secrets come. Fields of `ServiceSettings` may also be set for all services
together, as `POSTROOM_<FIELD>`. A variable that no field knows is an error, so that a misspelt one
is not ignored.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

SHARED_PREFIX = "POSTROOM_"


class Tls(BaseModel):
    """Where a service's own certificate lies, by which other services know it."""

    model_config = ConfigDict(frozen=True)

    certificate: Path
    key: Path
    authority: Path


class ServiceSettings(BaseSettings):
    """What every service can be told. A subclass sets `env_prefix` and adds its own."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_prefix=SHARED_PREFIX)

    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    log_format: str = Field("json", pattern="^(json|text)$", description="text is for terminals")
    http_host: str = Field("127.0.0.1", description="where /livez, /readyz and /metrics listen")
    http_port: int = Field(0, ge=0, le=65535, description="0: any free port")
    rpc_certificate: Path = Field(
        description="PEM chain; its SAN <service>.postroom names the service"
    )
    rpc_key: Path = Field(description="PEM private key of the certificate")
    rpc_authority: Path = Field(description="PEM: whose certificates other services carry")
    drain_seconds: float = Field(
        20.0, ge=0, description="how long sessions may go on after SIGTERM"
    )
    otlp_endpoint: str = Field("", description="where traces go (OTLP over gRPC); empty: nowhere")

    @property
    def rpc_tls(self) -> Tls:
        return Tls(certificate=self.rpc_certificate, key=self.rpc_key, authority=self.rpc_authority)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings, env_settings)


Settings = TypeVar("Settings", bound=ServiceSettings)


def load(settings: type[Settings], environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings of a service, or tell every error on stderr and exit with status 1."""
    source = os.environ if environment is None else environment
    prefix = str(settings.model_config.get("env_prefix", ""))
    values, problems = _gather(settings, prefix, source)
    try:
        result = settings.model_validate(values)
    except ValidationError as invalid:
        problems += [
            f"{prefix}{_location(*error['loc'])}: {error['msg']}" for error in invalid.errors()
        ]
    if problems:
        _refuse(problems)
    return result


def _location(field: int | str = "", *inner: int | str) -> str:
    """A field, and where in it, if its value is a document."""
    return ": ".join(filter(None, (str(field).upper(), ".".join(map(str, inner)))))


def _gather(
    settings: type[ServiceSettings], prefix: str, source: Mapping[str, str]
) -> tuple[dict[str, Any], list[str]]:
    known = {name.upper(): name for name in settings.model_fields}
    shared = {name.upper(): name for name in ServiceSettings.model_fields}
    values: dict[str, Any] = {}
    problems: list[str] = []
    for where, names in ((SHARED_PREFIX, shared), (prefix, known)):
        for variable, value in sorted(source.items()):
            if not variable.startswith(where):
                continue
            name = variable.removeprefix(where)
            if name in names:
                values[names[name]] = value
            elif (field := name.removesuffix("_FILE")) in names and field != name:
                try:
                    values[names[field]] = Path(value).read_text(encoding="utf-8").rstrip("\n")
                except OSError as error:
                    problems.append(f"{variable}: can't read {value}: {error.strerror}")
            elif where == prefix:
                problems.append(f"{variable}: there is no such setting")
    return values, problems


def _refuse(problems: list[str]) -> NoReturn:
    sys.stderr.write("The settings can't be used:\n")
    for problem in problems:
        sys.stderr.write(f"  {problem}\n")
    sys.exit(1)
