"""A view of Django that publishes. It needs no event loop, and runs under WSGI too."""

from django.http import HttpRequest, JsonResponse

from consumers import LayerUnavailable
from store.groups import Price, groups, prices


def set_price(request: HttpRequest, symbol: str) -> JsonResponse:
    price = Price(symbol, float(request.POST["value"]))
    try:
        position = groups.sync.publish(prices(symbol), price)
    except LayerUnavailable:
        return JsonResponse({"error": "try again later"}, status=503)
    return JsonResponse({"position": str(position)})
