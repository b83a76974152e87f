"""The settings loader: precedence, names, and what it says when something is wrong."""

from enum import Enum
from pathlib import Path

import pytest
from pydantic import Field, SecretStr, model_validator

from alphacut_service.settings import HelpRequested, Loaded, Section, SettingsError, load, stop_start


class Device(Enum):
    """Choices of the sample settings."""

    CPU = "cpu"
    CUDA = "cuda"


class QueueSection(Section):
    """How calls wait."""

    port: int = Field(default=50051, ge=0, le=65535, description="Port to listen on.")
    delay_ms: float = Field(default=2.0, ge=0, le=1000, description="Wait for company.")
    fair: bool = Field(default=True, description="Share the queue.")
    device: Device = Field(default=Device.CPU, description="Where it runs.")
    models: tuple[str, ...] = Field(default=("small",), description="Models to serve.")
    folder: Path | None = Field(default=None, description="Where they lie.")
    api_key: SecretStr | None = Field(default=None, min_length=8, description="Key to ask for.")


class SpanSection(Section):
    """A rule over two fields."""

    low: int = Field(default=1, description="Lower end.")
    high: int = Field(default=2, description="Upper end.")

    @model_validator(mode="after")
    def _is_ordered(self) -> "SpanSection":
        if self.low > self.high:
            raise ValueError("low must not exceed high")
        return self


class Sample(Section):
    """The settings of a sample program."""

    queue: QueueSection = QueueSection()
    span: SpanSection = SpanSection()


ALIASES = {"ALPHACUT_GRPC_PORT": "queue.port"}


def load_sample(
    *argv: str,
    environ: dict[str, str] | None = None,
    known: tuple[str, ...] = (),
    is_file_shared: bool = False,
) -> Loaded[Sample]:
    """Load the sample program's settings."""
    return load(
        Sample,
        argv=argv,
        environ=environ or {},
        aliases=ALIASES,
        known_elsewhere=known,
        program="alphacut sample",
        description="A sample.",
        switches={"prepare-only": "Prepare, then exit."},
        is_file_shared=is_file_shared,
    )


def refusal(*argv: str, environ: dict[str, str] | None = None) -> str:
    """Return the message of the error that loading raises."""
    with pytest.raises(SettingsError) as caught:
        load_sample(*argv, environ=environ)
    return str(caught.value)


def test_without_sources_every_setting_has_its_default() -> None:
    """Nothing set means the defaults, no origin and no warning."""
    loaded = load_sample()

    assert loaded.settings == Sample()
    assert loaded.origins == {}
    assert loaded.warnings == ()


def test_flag_wins_over_environment_over_file_over_default(tmp_path: Path) -> None:
    """Each source hides the ones below it."""
    file = tmp_path / "alphacut.toml"
    file.write_text("[queue]\nport = 1\ndelay_ms = 1\nfair = false\n")
    environ = {"ALPHACUT_CONFIG": str(file), "ALPHACUT_QUEUE_PORT": "2", "ALPHACUT_QUEUE_DELAY_MS": "2.5"}

    loaded = load_sample("--queue-port", "3", environ=environ)

    queue = loaded.settings.queue
    assert (queue.port, queue.delay_ms, queue.fair, queue.device) == (3, 2.5, False, Device.CPU)
    assert loaded.origins["queue.port"] == "--queue-port"
    assert loaded.origins["queue.delay_ms"] == "ALPHACUT_QUEUE_DELAY_MS"
    assert loaded.origins["queue.fair"] == f"{file}: queue.fair"
    assert loaded.config == file


def test_config_flag_wins_over_config_variable(tmp_path: Path) -> None:
    """--config names the file even when ALPHACUT_CONFIG names another."""
    first, second = tmp_path / "first.toml", tmp_path / "second.toml"
    first.write_text("[queue]\nport = 1\n")
    second.write_text("[queue]\nport = 2\n")

    loaded = load_sample("--config", str(first), environ={"ALPHACUT_CONFIG": str(second)})

    assert loaded.settings.queue.port == 1


@pytest.mark.parametrize(
    ("word", "meaning"),
    [("true", True), ("1", True), ("on", True), ("false", False), ("0", False), ("off", False)],
)
def test_booleans_have_three_spellings_each(word: str, meaning: bool) -> None:
    """true, 1, on and false, 0, off."""
    loaded = load_sample(environ={"ALPHACUT_QUEUE_FAIR": word})

    assert loaded.settings.queue.fair is meaning


def test_texts_become_typed_values() -> None:
    """Choices go by value in any case, lists by comma, paths and secrets as they are."""
    environ = {
        "ALPHACUT_QUEUE_DEVICE": "CUDA",
        "ALPHACUT_QUEUE_MODELS": "small, large",
        "ALPHACUT_QUEUE_FOLDER": "/srv/models",
        "ALPHACUT_QUEUE_API_KEY": " secret text ",
    }

    queue = load_sample(environ=environ).settings.queue

    assert queue.device is Device.CUDA
    assert queue.models == ("small", "large")
    assert queue.folder == Path("/srv/models")
    assert queue.api_key is not None
    assert queue.api_key.get_secret_value() == " secret text "


def test_none_unsets_an_optional_setting_of_the_file(tmp_path: Path) -> None:
    """`none` is how a variable takes back what the file says."""
    file = tmp_path / "alphacut.toml"
    file.write_text('[queue]\nfolder = "/srv/models"\n')

    loaded = load_sample("--config", str(file), environ={"ALPHACUT_QUEUE_FOLDER": "none"})

    assert loaded.settings.queue.folder is None


def test_empty_variable_counts_as_unset() -> None:
    """Templates leave empty variables behind; they set nothing."""
    loaded = load_sample(environ={"ALPHACUT_GRPC_PORT": "", "ALPHACUT_QUEUE_DEVICE": ""})

    assert loaded.origins == {}


def test_alias_and_its_flag_set_the_same_setting() -> None:
    """The short variable and its short flag work like the long ones."""
    by_variable = load_sample(environ={"ALPHACUT_GRPC_PORT": "7"})
    by_flag = load_sample("--grpc-port=8", environ={"ALPHACUT_GRPC_PORT": "7"})

    assert by_variable.settings.queue.port == 7
    assert by_flag.settings.queue.port == 8


def test_disagreeing_names_of_one_setting_are_refused() -> None:
    """Short and long name may both be set only to the same text."""
    agreeing = load_sample(environ={"ALPHACUT_GRPC_PORT": "7", "ALPHACUT_QUEUE_PORT": "7"})
    message = refusal(environ={"ALPHACUT_GRPC_PORT": "7", "ALPHACUT_QUEUE_PORT": "8"})

    assert agreeing.settings.queue.port == 7
    assert message == "ALPHACUT_GRPC_PORT=7 and ALPHACUT_QUEUE_PORT=8 disagree; set only one of them."


def test_bad_value_is_told_with_its_name_and_range() -> None:
    """The message has the user's name for it, the value, the range and what it is."""
    message = refusal(environ={"ALPHACUT_GRPC_PORT": "70000"})

    assert message == (
        "ALPHACUT_GRPC_PORT=70000: must be a whole number from 0 to 65535. queue.port: Port to listen on."
    )


@pytest.mark.parametrize(
    ("variable", "value", "expectation"),
    [
        ("ALPHACUT_QUEUE_DELAY_MS", "nan", "a number from 0 to 1000, in milliseconds"),
        ("ALPHACUT_QUEUE_FAIR", "perhaps", "true or false"),
        ("ALPHACUT_QUEUE_DEVICE", "tpu", "one of cpu, cuda"),
        ("ALPHACUT_QUEUE_PORT", "many", "a whole number from 0 to 65535"),
    ],
)
def test_every_kind_says_what_it_expects(variable: str, value: str, expectation: str) -> None:
    """Each kind of setting names what it takes."""
    message = refusal(environ={variable: value})

    assert message.startswith(f"{variable}={value}: must be {expectation}. ")


def test_all_faults_are_told_at_once() -> None:
    """One start shows everything that is wrong, a line each."""
    message = refusal("--queue-delay-ms", "-1", environ={"ALPHACUT_QUEUE_PORT": "x"})

    assert [line.split(":")[0] for line in message.splitlines()] == [
        "ALPHACUT_QUEUE_PORT=x",
        "--queue-delay-ms=-1",
    ]


def test_secret_is_in_no_message() -> None:
    """Neither an error nor the loaded settings show a secret's text."""
    message = refusal(environ={"ALPHACUT_QUEUE_API_KEY": "hunter2"})
    loaded = load_sample(environ={"ALPHACUT_QUEUE_API_KEY": "correct horse"})

    assert message.startswith("ALPHACUT_QUEUE_API_KEY: must be a secret text")
    assert "hunter2" not in message
    assert "horse" not in repr(loaded)


def test_rule_over_two_fields_names_the_section() -> None:
    """A validator of a section speaks in its own words."""
    message = refusal("--span-low", "5")

    assert message == "span: low must not exceed high"


def test_unknown_flag_is_refused_with_the_nearest() -> None:
    """A misspelt flag stops the start and names its neighbour."""
    message = refusal("--queue-prot", "1")

    assert message == "--queue-prot is no flag of alphacut sample. Did you mean --queue-port?"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("--queue-port",), "--queue-port needs a value."),
        (("--queue-port", "--grpc-port=1"), "--queue-port needs a value."),
        (("--prepare-only=yes",), "--prepare-only takes no value."),
        (("photo.jpg",), "alphacut sample takes flags only, not 'photo.jpg'."),
    ],
)
def test_malformed_command_line_is_refused(argv: tuple[str, ...], message: str) -> None:
    """Each mistake has its sentence."""
    assert refusal(*argv) == message


def test_switches_are_returned_by_name() -> None:
    """Bare flags come back without dashes and set nothing."""
    loaded = load_sample("--prepare-only", "--queue-port", "1")

    assert loaded.switches == {"prepare-only"}
    assert loaded.settings.queue.port == 1


def test_unknown_variable_is_warned_about_with_the_nearest_of_any_program() -> None:
    """The hint may be a variable of another alphacut program."""
    loaded = load_sample(environ={"ALPHACUT_HTTP_PROT": "1"}, known=("ALPHACUT_HTTP_PORT",))

    assert loaded.warnings == (
        "ALPHACUT_HTTP_PROT is no setting of any alphacut program and is ignored. "
        "Did you mean ALPHACUT_HTTP_PORT?",
    )


def test_foreign_variables_pass_in_silence() -> None:
    """Variables of other alphacut programs and of other software are nobody's business here."""
    loaded = load_sample(environ={"ALPHACUT_HTTP_PORT": "1", "PATH": "/bin"}, known=("ALPHACUT_HTTP_PORT",))

    assert loaded.warnings == ()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALPHACUT_SERVICE_HOST", "10.0.0.1"),
        ("ALPHACUT_SERVICE_PORT", "50051"),
        ("ALPHACUT_SERVICE_PORT_GRPC", "50051"),
        ("ALPHACUT_PORT", "tcp://10.0.0.1:50051"),
        ("ALPHACUT_SERVER_PORT_50051_TCP", "tcp://10.0.0.1:50051"),
        ("ALPHACUT_SERVER_PORT_50051_TCP_ADDR", "10.0.0.1"),
        ("ALPHACUT_SERVER_PORT_50051_TCP_PROTO", "tcp"),
    ],
)
def test_service_links_of_kubernetes_pass_in_silence(name: str, value: str) -> None:
    """Kubernetes injects these for every Service called alphacut…; nobody can act on a warning."""
    loaded = load_sample(environ={name: value})

    assert loaded.warnings == ()


def test_service_link_that_hides_a_setting_is_told_and_ignored() -> None:
    """A Service called alphacut-grpc puts an address into ALPHACUT_GRPC_PORT; the long name still works."""
    environ = {"ALPHACUT_GRPC_PORT": "tcp://10.0.0.1:50051", "ALPHACUT_QUEUE_PORT": "7"}

    loaded = load_sample(environ=environ)

    assert loaded.settings.queue.port == 7
    assert loaded.warnings == (
        "ALPHACUT_GRPC_PORT holds a Kubernetes service link, not a port, and is ignored; "
        "put enableServiceLinks: false into the pod's spec or set ALPHACUT_QUEUE_PORT instead.",
    )


def test_unknown_key_of_the_file_is_refused(tmp_path: Path) -> None:
    """A file is written on purpose: a key that no program knows is a mistake."""
    file = tmp_path / "alphacut.toml"
    file.write_text("[queue]\nprot = 1\n")

    message = refusal("--config", str(file))

    assert message == f"{file}: queue.prot is no setting. Did you mean queue.port?"


def test_keys_of_other_programs_may_share_the_file(tmp_path: Path) -> None:
    """One file feeds several programs, by the same rule as one environment."""
    file = tmp_path / "alphacut.toml"
    file.write_text("[gateway]\nhttp_port = 1\n[queue]\nport = 2\n")

    known = load_sample("--config", str(file), known=("ALPHACUT_GATEWAY_HTTP_PORT",))
    shared = load_sample("--config", str(file), is_file_shared=True)

    assert known.settings.queue.port == 2
    assert shared.settings.queue.port == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[queue\n", "is no TOML"),
        ("port = 1\n", "port must be a table"),
        ("[queue]\nport = true\n", "must be a whole number"),
    ],
)
def test_malformed_file_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """The message names the file and the fault; true is not the number 1."""
    file = tmp_path / "alphacut.toml"
    file.write_text(text)

    message = refusal("--config", str(file))

    assert str(file) in message
    assert said in message


def test_missing_file_is_refused(tmp_path: Path) -> None:
    """A file that was named must be there."""
    message = refusal(environ={"ALPHACUT_CONFIG": str(tmp_path / "none.toml")})

    assert message == f"The settings file {tmp_path / 'none.toml'} cannot be read: No such file or directory."


def test_help_tells_every_setting_with_its_names(capsys: pytest.CaptureFixture[str]) -> None:
    """--help shows flags, meaning, range, unit, default and variables, and ends with code 0."""
    with pytest.raises(HelpRequested) as caught:
        load_sample("--help")
    code = stop_start(caught.value, "alphacut sample")

    text = " ".join(capsys.readouterr().out.split())
    assert code == 0
    assert "--grpc-port, --queue-port VALUE Port to listen on. A whole number from 0 to 65535." in text
    assert "[default: 50051] [env: ALPHACUT_GRPC_PORT, ALPHACUT_QUEUE_PORT]" in text
    assert "A number from 0 to 1000, in milliseconds. [default: 2]" in text
    assert "--prepare-only Prepare, then exit." in text
    assert "queue: How calls wait." in text


def test_error_is_printed_with_the_program_and_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    """A usage error says who speaks, what is wrong and where help is."""
    code = stop_start(SettingsError("first fault\nsecond fault"), "alphacut sample")

    assert code == 2
    assert capsys.readouterr().err == (
        "alphacut sample: first fault\nalphacut sample: second fault\n"
        "alphacut sample: see `alphacut sample --help`.\n"
    )
