import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.Security;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.cert.TrustAnchor;
import java.security.cert.X509Certificate;
import java.security.spec.ECGenParameterSpec;
import java.util.Base64;
import java.util.Set;
import javax.security.auth.x500.X500Principal;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.est.CSRRequestResponse;
import org.bouncycastle.est.ESTAuth;
import org.bouncycastle.est.ESTException;
import org.bouncycastle.est.ESTService;
import org.bouncycastle.est.EnrollmentResponse;
import org.bouncycastle.est.jcajce.JcaHttpAuthBuilder;
import org.bouncycastle.est.jcajce.JcaJceUtils;
import org.bouncycastle.est.jcajce.JsseESTServiceBuilder;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.bouncycastle.pkcs.PKCS10CertificationRequest;
import org.bouncycastle.pkcs.jcajce.JcaPKCS10CertificationRequestBuilder;
import org.bouncycastle.util.Store;

/**
 * An EST client (RFC 7030) on BouncyCastle's org.bouncycastle.est. Arguments: host:port, label, CA
 * of the server, operation, and those of the operation. Keys are in PKCS #12 files. Prints a line for
 * each result; a refusal is its status and its text.
 */
public class Est {
    private static final char[] PASSWORD = "changeit".toCharArray();
    private static final String NAME = "device";

    public static void main(String[] arguments) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        String operation = arguments[3];
        String[] more = java.util.Arrays.copyOfRange(arguments, 4, arguments.length);
        CertificateFactory factory = CertificateFactory.getInstance("X.509");
        X509Certificate ca;
        try (InputStream file = Files.newInputStream(Path.of(arguments[2]))) {
            ca = (X509Certificate) factory.generateCertificate(file);
        }
        JsseESTServiceBuilder builder = new JsseESTServiceBuilder(
            arguments[0],
            JcaJceUtils.getCertPathTrustManager(Set.of(new TrustAnchor(ca, null)), null));
        // The default list has no suite of TLS 1.3.
        builder.withFilterCipherSuites(false).withLabel(arguments[1]);
        KeyStore current = null;
        if (operation.equals("reenroll")) {
            current = KeyStore.getInstance("PKCS12");
            try (InputStream file = Files.newInputStream(Path.of(more[0]))) {
                current.load(file, PASSWORD);
            }
            builder.withKeyManagers(
                JcaJceUtils.createKeyManagerFactory("SunX509", null, current, PASSWORD)
                    .getKeyManagers());
        }
        ESTService est = builder.build();
        try {
            switch (operation) {
                case "cacerts" -> cacerts(est);
                case "csrattrs" -> csrattrs(est);
                case "enroll" -> {
                    ESTAuth invite = new JcaHttpAuthBuilder(more[1], more[2].toCharArray()).build();
                    enroll(est, false, new X500Principal(more[0]), invite, Path.of(more[3]));
                }
                case "reenroll" -> {
                    X509Certificate old = (X509Certificate) current.getCertificate(NAME);
                    enroll(est, true, old.getSubjectX500Principal(), null, Path.of(more[1]));
                }
                default -> throw new IllegalArgumentException(operation);
            }
        } catch (ESTException refused) {
            if (refused.getStatusCode() == 0) {
                throw refused;
            }
            String text =
                new String(refused.getBody().readAllBytes(), StandardCharsets.UTF_8);
            System.out.println(refused.getStatusCode() + " " + text.strip());
        }
    }

    private static void cacerts(ESTService est) throws Exception {
        Store<X509CertificateHolder> found = est.getCACerts().getCertificateStore();
        for (X509CertificateHolder one : ESTService.storeToArray(found)) {
            System.out.println(Base64.getEncoder().encodeToString(one.getEncoded()));
        }
    }

    private static void csrattrs(ESTService est) throws Exception {
        CSRRequestResponse answer = est.getCSRAttributes();
        if (answer.hasAttributesResponse()) {
            answer.getAttributesResponse().getRequirements().forEach(System.out::println);
        }
    }

    /** Asks for a certificate with a new key, and writes both. */
    private static void enroll(
            ESTService est, boolean again, X500Principal subject, ESTAuth auth, Path out)
            throws Exception {
        KeyPairGenerator generator = KeyPairGenerator.getInstance("EC");
        generator.initialize(new ECGenParameterSpec("secp256r1"));
        KeyPair pair = generator.generateKeyPair();
        PrivateKey key = pair.getPrivate();
        PKCS10CertificationRequest request =
            new JcaPKCS10CertificationRequestBuilder(subject, pair.getPublic())
                .build(new JcaContentSignerBuilder("SHA256withECDSA").build(key));
        EnrollmentResponse answer = est.simpleEnroll(again, request, auth);
        if (!answer.isCompleted()) {
            System.out.println("not before " + answer.getNotBefore());
            return;
        }
        X509CertificateHolder issued = ESTService.storeToArray(answer.getStore())[0];
        X509Certificate certificate = new JcaX509CertificateConverter().getCertificate(issued);
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        store.setKeyEntry(NAME, key, PASSWORD, new Certificate[] {certificate});
        try (OutputStream file = Files.newOutputStream(out)) {
            store.store(file, PASSWORD);
        }
        System.out.println(Base64.getEncoder().encodeToString(certificate.getEncoded()));
    }
}
