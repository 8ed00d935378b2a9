"""What a server takes on, so that no visitor can take more than their share."""

from dataclasses import dataclass, fields

from tenfold.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds of one server. Whatever exceeds one is refused with a sentence that names it."""

    batch_size: int = 64
    """Pictures in one pass of the model, at most."""
    wait: float = 0.0
    """Milliseconds an idle model waits for more pictures before a pass. Under load the pictures that come
    during one pass share the next, however short this is."""
    queue: int = 1024
    """Pictures that may wait for the model; past it the answer is 503, with Retry-After."""
    max_bytes: int = 16_777_216
    """Bytes of a request's body."""
    max_pixels: int = 16_000_000
    """Pixels of a picture, read from its header before it is decoded."""
    max_pictures: int = 64
    """Pictures of a request."""
    timeout: float = 10.0
    """Seconds a request may take: 408 where the client is that slow, 504 where the server is."""
    connections: int = 512
    """Connections open at a time; further ones are told to come back."""
    max_header_bytes: int = 16_384
    """Bytes of a request's first line and headers."""
    idle: float = 30.0
    """Seconds a connection may stay open without a request."""

    def __post_init__(self) -> None:
        for field in fields(Limits):
            value = getattr(self, field.name)
            least = 0 if field.name == "wait" else 1
            if not value >= least:
                name = field.name.replace("_", "-")
                raise UsageError(f"--{name} must be {least} or more. Received: {name}={value}")
        if self.batch_size > 256:
            raise UsageError(
                f"--batch-size must be 256 or less: a larger pass is no faster. Received: "
                f"batch-size={self.batch_size}"
            )

    @property
    def held_bytes(self) -> int:
        """Bytes of bodies that are held at a time, of all requests together."""
        return 4 * self.max_bytes
