"""LocalStack's web server, listening where GATEWAY_LISTEN says.

LocalStack's own takes the port and leaves out the host, so it listens on every interface of the machine: whoever
reaches the machine could run code on it, as a Lambda function. And where the port is taken, it goes on without one.
"""

from localstack.aws.serving.twisted import TLSMultiplexerFactory
from localstack.runtime.server.core import RuntimeServerPlugin
from localstack.runtime.server.twisted import TwistedRuntimeServer
from rolo.serving.twisted import TwistedGateway
from twisted.internet import reactor, ssl


class ListenerOfOneHost(TwistedRuntimeServer):
    def register(self, gateway, listen, ssl_creds=None) -> None:
        factory = TwistedGateway(gateway)
        if ssl_creds:
            certificate, key = ssl_creds
            context = ssl.DefaultOpenSSLContextFactory(key, certificate)
            context.getContext().use_certificate_chain_file(certificate)
            factory = TLSMultiplexerFactory(context, False, factory)
        for address in listen:
            reactor.listenTCP(address.port, factory, interface=address.host)


class ListenerPlugin(RuntimeServerPlugin):
    name = "remediation"

    def load(self, *_args, **_kwargs) -> ListenerOfOneHost:
        return ListenerOfOneHost()
