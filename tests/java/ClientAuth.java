import java.io.FileInputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;

/** A TLS server that requires a client certificate. Arguments: port, CA, PKCS #12, password. */
public class ClientAuth {
    public static void main(String[] arguments) throws Exception {
        KeyStore trusted = KeyStore.getInstance("PKCS12");
        trusted.load(null, null);
        CertificateFactory factory = CertificateFactory.getInstance("X.509");
        try (FileInputStream file = new FileInputStream(arguments[1])) {
            trusted.setCertificateEntry("ca", factory.generateCertificate(file));
        }
        TrustManagerFactory trust = TrustManagerFactory.getInstance("PKIX");
        trust.init(trusted);
        char[] password = arguments[3].toCharArray();
        KeyStore own = KeyStore.getInstance("PKCS12");
        try (FileInputStream file = new FileInputStream(arguments[2])) {
            own.load(file, password);
        }
        KeyManagerFactory keys = KeyManagerFactory.getInstance("PKIX");
        keys.init(own, password);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(keys.getKeyManagers(), trust.getTrustManagers(), null);
        int port = Integer.parseInt(arguments[0]);
        SSLServerSocket listener = (SSLServerSocket) context.getServerSocketFactory()
            .createServerSocket(port, 50, InetAddress.getLoopbackAddress());
        listener.setNeedClientAuth(true);
        while (true) {
            try (SSLSocket client = (SSLSocket) listener.accept()) {
                client.startHandshake();
                OutputStream out = client.getOutputStream();
                out.write("HTTP/1.0 200 OK\r\n\r\nin".getBytes());
                out.flush();
            } catch (java.io.IOException e) {
                System.err.println(e);
            }
        }
    }
}
