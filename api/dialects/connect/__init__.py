"""`/connect/token`, where the clients of the block model and the compute API trade a name and a secret for a bearer token.

A dialect of its own, because both of these need it and either can be there without the other.
"""

from api.dialects import problems
from api.dialects.connect import token
from api.dialects.dialect import Dialect

dialect = Dialect("connect", (token.routes,), problems.titled(problems.beneath("/connect")))
