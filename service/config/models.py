"""Settings of the repository: where it is, which versions serve, who loads them. Part of the service's settings."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings

from export.errors import StoreError
from export.stores import copy_folder, is_address, read_address
from service.config.bounds import PATTERN as SIZE
from service.config.bounds import Bounds, read_bytes
from service.config.fields import ADDRESS, Count, Seconds, setting
from service.config.splits import CanaryRules, Split, read_splits
from service.config.versions import PATTERN


class Models(BaseSettings):
    """Models and their versions."""

    repository: Annotated[Path, ADDRESS] = setting(
        Path("models"),
        "Folder of the models: `<name>/<version>/`; or the address of a store, such as `s3://bucket/models`. "
        "An address is [`store`](repositories.md), and the folder is a copy in the cache.",
        flag=True,
    )
    store: str | None = setting(
        None,
        "Address of the [store](repositories.md) of which `repository` is a copy: `s3://`, `gs://`, `hf://`, "
        "`https://`. An address as `repository` sets both.",
    )
    store_bytes: Annotated[int, Field(ge=1)] = setting(
        10 * 2**30, "The most that the copy of a store's repository may take on the disk."
    )
    store_seconds: Seconds = setting(
        600.0, "Longest wait for one file of a store, and at the start for the store, in seconds."
    )
    default_model: str | None = setting(
        None,
        "Model of `/v1/classify`. Unset: the one of the repository's "
        "[`repository.toml`](model-control.md#the-repositorys-own-file), else the only one; with several, that route "
        "says which there are. A name that is not there stops the start; where models may come later, it is a line in "
        "the log.",
        flag=True,
        unset="the only one",
    )
    versions: Annotated[str, Field(pattern=PATTERN)] = setting(
        "all",
        "Which versions of each model serve: `all`, `latest`, `latest:N`, or a list `1,3`. `latest` is the newest one "
        "that is sound: [model control](model-control.md).",
        flag=True,
    )
    model_control: Literal["none", "poll", "explicit"] = setting(
        "none",
        "`poll`: follow changes of the repository; `explicit`: load and unload on request; `none`: neither.",
        flag=True,
    )
    poll_seconds: Seconds = setting(5.0, "Time between two looks at the repository, in seconds.", flag=True)
    load_seconds: Seconds = setting(
        600.0,
        "Longest wait for a model to be loaded and tried, in seconds. Then it is left out, others go on, and it serves "
        "as soon as it is loaded.",
    )
    load_models: Annotated[str, Field(max_length=10_000)] | None = setting(
        None,
        "Under `explicit` control: models to load at the start, with commas between; `*` for every one.",
        flag=True,
    )
    max_models: Count | None = setting(
        None,
        "Most versions of models in memory at a time. With it, versions are loaded "
        "[on demand](model-control.md#more-models-than-memory), and the one that was asked least recently is let go "
        "for the next. Each of several workers has so many.",
        flag=True,
        unset="no bound",
    )
    max_memory: Annotated[str, Field(pattern=SIZE)] | None = setting(
        None,
        "Most memory of all models together, such as `2GB` or `1.5GiB`. Works like `max_models`, by what each version "
        "took when it was loaded; several workers share it out. CPU only.",
        flag=True,
        unset="no bound",
    )

    split: Annotated[str, Field(max_length=10_000)] | None = setting(
        None,
        "Shares of the requests that name no version, such as `colours={2:0.9,3:0.1}`; several models with semicolons "
        "between. See [canaries](model-control.md#canaries).",
        flag=True,
    )
    canary_errors: Annotated[float, Field(ge=0, le=1)] = setting(
        0.05,
        "A version of a split is taken out when the share of its requests that failed is larger by more than this than "
        "that of the version with the largest share.",
    )
    canary_latency: Annotated[float, Field(ge=1)] = setting(
        2.0, "The same where its answers took more than so many times as long, on average."
    )
    canary_seconds: Seconds = setting(60.0, "How far back both are compared, in seconds.")
    canary_requests: Count = setting(50, "Fewest requests of a version in that time; fewer prove nothing.")

    def splits(self) -> dict[str, Split]:
        """The split of each model that has one. Raises RequestError for what is none."""
        return read_splits(self.split) if self.split else {}

    def canary_rules(self) -> CanaryRules:
        """When a version of a split is taken out."""
        return CanaryRules(self.canary_errors, self.canary_latency, self.canary_seconds, self.canary_requests)

    @model_validator(mode="before")
    @classmethod
    def _store_of(cls, given: Any) -> Any:
        """An address as `repository` is a store, with a copy; a store without a folder has its copy in the cache."""
        if not isinstance(given, dict):
            return given
        if is_address(str(given.get("repository", ""))):
            text = str(given["repository"])
            return {**given, "store": text, "repository": copy_folder(text)}
        if given.get("store") and "repository" not in given:
            return {**given, "repository": copy_folder(str(given["store"]))}
        return given

    @field_validator("store")
    @classmethod
    def _readable(cls, text: str | None) -> str | None:
        try:
            return str(read_address(text)) if text else None
        except StoreError as error:
            raise ValueError(str(error)) from None

    def bounds(self) -> Bounds:
        """How much of the repository may be in memory."""
        return Bounds(self.max_models, read_bytes(self.max_memory) if self.max_memory else None)
