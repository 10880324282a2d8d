"""What Bocadillo's WebSocket guide promises, point by point.

Each test is named for the points that it shows, and drives a function at ``/function``
and a consumer class at ``/class`` alike, where the point applies to both.
"""

import pytest

both_styles = pytest.mark.parametrize("path", ["/function", "/class"])
