"""Every error Rushes raises on purpose.

    RushesError                     code, sentence, and whether trying again can help
    ├── InvalidRequest              400: what was sent is wrong; names every bad field
    │   ├── InvalidBody
    │   └── InvalidQuery
    ├── Unauthorized                401
    ├── InsufficientCredits         402: the account's month has no room for it; nothing was queued
    ├── BudgetExceeded              402: the operator's money for this month has no room for it; nothing was queued
    ├── NotFound                    404
    │   └── JobNotFound
    ├── Conflict                    409: not in the state it is in
    │   ├── JobNotFinished
    │   ├── JobFinished
    │   └── UploadTaken
    ├── TooSlow                     408
    ├── TooLong                     413
    ├── RangeNotSatisfiable         416
    ├── IdempotencyKeyReused        422: the key has been used with another body
    ├── TooMany                     429: later; says when
    ├── JobFailed                   ends a job; its code is part of the API
    │   ├── InputBlocked            INPUT_BLOCKED
    │   ├── InputUnreachable        INPUT_UNREACHABLE
    │   ├── InputNotAnImage         INPUT_NOT_AN_IMAGE
    │   ├── InputNotAVideo          INPUT_NOT_A_VIDEO
    │   ├── InputTooLarge           INPUT_TOO_LARGE
    │   ├── ContentRejected         CONTENT_REJECTED
    │   ├── ModelUnavailable        MODEL_UNAVAILABLE
    │   ├── ModelRetired            MODEL_RETIRED
    │   ├── ProviderFailed          PROVIDER_ERROR
    │   ├── ProviderTimeout         PROVIDER_TIMEOUT
    │   ├── OutcomeUnknown          OUTCOME_UNKNOWN
    │   └── Cancelled               CANCELLED
    ├── Unavailable                 503: not now; trying again can help
    │   ├── ServerUnreachable       a client's: no connection, or none in time
    │   ├── StoreUnavailable        the database does not answer
    │   ├── StorageFull             no room for a file
    │   ├── StorageUnavailable      the folder or bucket does not answer
    │   └── ProviderUnreachable     nothing was accepted: safe to send again
    ├── Duplicate                   a row that must be the only one of its kind is there already
    ├── DamagedCopy                 what came out of a new place is not what went in
    ├── LeaseLost                   another worker has the job: throw this work away
    ├── Unreadable                  a media file that cannot be read as what it should be
    │   └── TooManyPixels
    ├── ServerFailed                a client's: 500, a mistake of the server's own
    ├── BadAnswer                   a client's: what came back is no answer of this API
    ├── AnswerLost                  a client's: it was sent, and whether it was taken is not known
    ├── NotWhole                    a client's: a file that did not come whole
    ├── NotSaved                    a client's: a file here that cannot be written, or read
    ├── StillRunning                a client's: its time to wait is over, the job goes on
    └── StartError                  the program cannot start as it was told to
        ├── BadSetting
        └── StoreTooNew

Only ``wire.py`` knows which of these is which HTTP status.
"""

from __future__ import annotations


class RushesError(Exception):
    """A failure with a machine's ``code`` and a person's ``sentence``: what happened, what to do.

    The client's know the HTTP ``status`` that told of them and the server's ``request_id``, where there were any.
    """

    code: str = "INTERNAL_ERROR"
    retryable: bool = False
    status: int | None = None
    request_id: str | None = None

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class InvalidRequest(RushesError):
    """What the client sent is wrong. ``fields`` maps each bad field to its complaint, all at once."""

    code = "INVALID_REQUEST"

    def __init__(self, sentence: str, fields: dict[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.fields = fields or {}


class InvalidBody(InvalidRequest):
    """The request's body is wrong."""

    code = "INVALID_REQUEST_BODY"


class InvalidQuery(InvalidRequest):
    """The request's query string is wrong."""


class Unauthorized(RushesError):
    """The key is missing, malformed, unknown or revoked; the answer never says which."""

    code = "UNAUTHORIZED"


class InsufficientCredits(RushesError):
    """The account's credits of this month do not cover the request beside what is charged and under way."""

    code = "INSUFFICIENT_CREDITS"


class BudgetExceeded(RushesError):
    """What the request would cost at its provider does not fit into the operator's budget."""

    code = "BUDGET_EXCEEDED"


class NotFound(RushesError):
    """There is nothing here, or nothing of this account's."""

    code = "NOT_FOUND"


class JobNotFound(NotFound):
    """No such job in this account."""

    code = "JOB_NOT_FOUND"

    def __init__(self, job_id: str) -> None:
        super().__init__(f"There is no job {job_id} in this account.")
        self.job_id = job_id


class Conflict(RushesError):
    """What was asked for does not fit the state things are in."""

    code = "CONFLICT"


class JobNotFinished(Conflict):
    """Only a job that has ended can be cleaned."""

    code = "JOB_NOT_FINISHED"


class JobFinished(Conflict):
    """Only a job under way can be cancelled."""

    code = "JOB_FINISHED"


class UploadTaken(Conflict):
    """A signed link takes one file, and has taken it."""

    code = "UPLOAD_TAKEN"


class TooSlow(RushesError):
    """The client took too long to send its request."""

    code = "REQUEST_TIMEOUT"


class TooLong(RushesError):
    """The body is longer than the server takes."""

    code = "REQUEST_TOO_LONG"


class RangeNotSatisfiable(RushesError):
    """The range asked for lies beyond the file."""

    code = "RANGE_NOT_SATISFIABLE"


class IdempotencyKeyReused(RushesError):
    """The key was sent before with another body: one of the two requests is a mistake."""

    code = "IDEMPOTENCY_KEY_REUSED"


class TooMany(RushesError):
    """Too many requests, or too many jobs under way; ``retry_after`` is in seconds."""

    code = "TOO_MANY_REQUESTS"
    retryable = True

    def __init__(self, sentence: str, retry_after: float = 1) -> None:
        super().__init__(sentence)
        self.retry_after = retry_after


class JobFailed(RushesError):
    """Ends a job. ``code`` and ``sentence`` are what ``GET /jobs/{id}`` answers."""

    code = "PROVIDER_ERROR"
    job_id: str | None = None
    """Which one, where it is not at hand anyway."""


class InputBlocked(JobFailed):
    """An input's address is private, or one we must not call."""

    code = "INPUT_BLOCKED"


class InputUnreachable(JobFailed):
    """An input's address did not give a file. ``status`` and ``retry_after`` are what it answered, where it did."""

    code = "INPUT_UNREACHABLE"
    retry_after: float | None = None


class InputNotAnImage(JobFailed):
    """An input that should be an image is not."""

    code = "INPUT_NOT_AN_IMAGE"


class InputNotAVideo(JobFailed):
    """An input that should be a video is not."""

    code = "INPUT_NOT_A_VIDEO"


class InputTooLarge(JobFailed):
    """An input has too many bytes or pixels."""

    code = "INPUT_TOO_LARGE"


class ContentRejected(JobFailed):
    """The provider's moderation refused the prompt, an input or the result."""

    code = "CONTENT_REJECTED"


class ModelUnavailable(JobFailed):
    """This server cannot reach a provider for the model as it is configured."""

    code = "MODEL_UNAVAILABLE"


class ModelRetired(JobFailed):
    """The provider no longer has the model."""

    code = "MODEL_RETIRED"


class ProviderFailed(JobFailed):
    """The provider tried and failed, or gave something that is not the promised file."""

    code = "PROVIDER_ERROR"


class ProviderTimeout(JobFailed):
    """The provider did not finish in the time a job may take."""

    code = "PROVIDER_TIMEOUT"


class OutcomeUnknown(JobFailed):
    """It was sent and never answered. It is never sent again by itself: it may have been charged."""

    code = "OUTCOME_UNKNOWN"


class Cancelled(JobFailed):
    """The client cancelled the job."""

    code = "CANCELLED"


class Unavailable(RushesError):
    """Not now: something we lean on is away. Trying again can help."""

    code = "SERVICE_UNAVAILABLE"
    retryable = True
    retry_after: float | None = None
    """Seconds, where it is known."""


class ServerUnreachable(Unavailable):
    """The server did not answer: no connection, or none in time."""

    code = "SERVER_UNREACHABLE"


class StoreUnavailable(Unavailable):
    """The database does not answer, or cannot write."""


class StorageFull(Unavailable):
    """There is no room for a file."""


class StorageUnavailable(Unavailable):
    """The folder or bucket that holds the files does not answer."""


class ProviderUnreachable(Unavailable):
    """The provider was not reached, or said "not now": nothing was accepted, so it is safe to ask again."""

    def __init__(self, sentence: str, retry_after: float | None = None) -> None:
        super().__init__(sentence)
        self.retry_after = retry_after


class Duplicate(RushesError):
    """A row that must be the only one of its kind is there already."""

    code = "DUPLICATE"


class DamagedCopy(RushesError):
    """What came out of a new place is not what went in; it is not there any more."""

    code = "DAMAGED_COPY"


class LeaseLost(RushesError):
    """This worker no longer holds the job; what it made is thrown away."""

    code = "LEASE_LOST"


class Unreadable(RushesError):
    """A media file cannot be read as what it should be; the sentence says what is wrong with it."""

    code = "UNREADABLE"


class TooManyPixels(Unreadable):
    """A picture is larger than is read."""


class ServerFailed(RushesError):
    """The server answered that something went wrong in it."""

    code = "SERVER_FAILED"
    retryable = True


class BadAnswer(RushesError):
    """What answered is not this API, or was changed on the way."""

    code = "BAD_ANSWER"


class AnswerLost(RushesError):
    """A request was sent and its answer never came: it may have been taken, and charged. It is not sent again."""

    code = "ANSWER_LOST"


class NotWhole(RushesError):
    """A file did not come whole, or is not what its name says."""

    code = "NOT_WHOLE"


class NotSaved(RushesError):
    """A file cannot be written where it is to go, or read where it should be."""

    code = "NOT_SAVED"


class StillRunning(RushesError):
    """The time to wait is over and the job goes on; ``job_id`` is where to come back to."""

    code = "STILL_RUNNING"

    def __init__(self, sentence: str, job_id: str) -> None:
        super().__init__(sentence)
        self.job_id = job_id


class StartError(RushesError):
    """The program cannot start as it was told to."""

    code = "START"


class BadSetting(StartError):
    """A setting has a value that cannot be; the sentence names the setting."""

    code = "BAD_SETTING"


class StoreTooNew(StartError):
    """The database was written by a newer Rushes."""

    code = "STORE_TOO_NEW"
