import java.io.ByteArrayInputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.cert.CertPathValidator;
import java.security.cert.CertPathValidatorException;
import java.security.cert.CertificateFactory;
import java.security.cert.PKIXParameters;
import java.security.cert.PKIXRevocationChecker;
import java.security.cert.PKIXRevocationChecker.Option;
import java.security.cert.TrustAnchor;
import java.security.cert.X509Certificate;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;

/**
 * Validates certificates as Java's TLS does with revocation checks. Each line of a file names a CA
 * and a certificate, with a comma between. Prints a line for each: the results by OCSP and by CRL.
 */
public class Revocation {
    public static void main(String[] arguments) throws Exception {
        CertificateFactory factory = CertificateFactory.getInstance("X.509");
        for (String line : Files.readAllLines(Path.of(arguments[0]))) {
            String[] files = line.split(",");
            X509Certificate ca = read(factory, files[0]);
            X509Certificate leaf = read(factory, files[1]);
            System.out.printf(
                "OCSP:%s CRL:%s%n",
                result(factory, ca, leaf, EnumSet.of(Option.NO_FALLBACK)),
                result(factory, ca, leaf, EnumSet.of(Option.NO_FALLBACK, Option.PREFER_CRLS)));
        }
    }

    private static X509Certificate read(CertificateFactory factory, String file) throws Exception {
        byte[] content = Files.readAllBytes(Path.of(file));
        return (X509Certificate) factory.generateCertificate(new ByteArrayInputStream(content));
    }

    private static String result(
            CertificateFactory factory, X509Certificate ca, X509Certificate leaf, Set<Option> how)
            throws Exception {
        CertPathValidator validator = CertPathValidator.getInstance("PKIX");
        PKIXRevocationChecker checker = (PKIXRevocationChecker) validator.getRevocationChecker();
        how.add(Option.ONLY_END_ENTITY);
        checker.setOptions(how);
        PKIXParameters parameters = new PKIXParameters(Set.of(new TrustAnchor(ca, null)));
        parameters.addCertPathChecker(checker);
        try {
            validator.validate(factory.generateCertPath(List.of(leaf)), parameters);
            return "good";
        } catch (CertPathValidatorException e) {
            return e.getReason().toString().equals("REVOKED")
                ? "revoked"
                : (e.getReason() + ":" + e.getMessage()).replace(' ', '_');
        }
    }
}
