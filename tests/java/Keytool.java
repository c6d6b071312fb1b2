import java.nio.file.Files;
import java.nio.file.Path;

/** Runs keytool several times in one process, whose start is slow. Each line has its arguments. */
public class Keytool {
    public static void main(String[] arguments) throws Exception {
        for (String line : Files.readAllLines(Path.of(arguments[0]))) {
            sun.security.tools.keytool.Main.main(line.split("\t"));
        }
    }
}
