import java.io.File;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.fabula.Device;
import org.fabula.FabulaException;
import org.fabula.Finish;
import org.fabula.Model;
import org.fabula.Session;
import org.fabula.TextOptions;
import org.fabula.TextResult;
import org.fabula.Token;
import org.fabula.TokenListener;

/**
 * The Java classes over libfabula_jni, on a desktop's JDK and a software driver: JniTest RUN TEXT, where RUN is the folder of a model with a
 * grouped head, and the file TEXT holds what `fabula generate RUN --prompt "Once" --temperature 0 --max-tokens 24` writes.
 */
public final class JniTest {
    private static final String PROMPT = "Once";
    private static final int TOKENS = 24;

    public static void main(String[] arguments) throws Exception {
        Path run = Paths.get(arguments[0]);
        String expected = new String(Files.readAllBytes(Paths.get(arguments[1])), StandardCharsets.UTF_8);

        equal(Device.libraryVersion().isEmpty(), false, "a version");
        equal(mapped("vulkan"), false, "Vulkan before a device is asked for");
        equal(Device.names().isEmpty(), false, "devices");
        equal(mapped("vulkan"), true, "Vulkan after it");

        try (Device device = new Device(null, "none")) {
            equal(device.name().isEmpty(), false, "the device's name");
            try (Model model = Model.open(run.toString(), null);
                    Session session = new Session(device, model, 2, true)) {
                equal(model.groups > 0, true, "a head with groups");
                toldTextIs(expected, session);
                texts(session);
                cancelled(session);
                throwing(session);
                stopped(session);
            }
            fromDescriptors(run, device, expected);
            outlives(run, device, expected);
        }
        refusals(run);
        System.out.println("all passed");
    }

    private static TextOptions greedy(long tokens) {
        TextOptions options = new TextOptions();
        options.temperature = 0;
        options.maxTokens = tokens;
        return options;
    }

    private static void toldTextIs(String expected, Session session) {
        StringBuilder text = new StringBuilder(PROMPT);
        List<Token> tokens = new ArrayList<>();
        TextResult result = session.generate(PROMPT, greedy(TOKENS), token -> {
            text.append(token.piece);
            if (token.id != -1) tokens.add(token);
            return true;
        });
        equal(text.toString(), expected, "the text of the program");
        equal(result.tokens, (long) tokens.size(), "tokens told");
        for (Token token : tokens) {
            equal(token.group >= 0, true, "a group");
            equal(Math.abs(token.groupLogP + token.tokenLogP - token.logP) < 1e-3, true,
                    "log p " + token.logP + " as the sum of " + token.groupLogP + " and " + token.tokenLogP);
        }
    }

    /** Java's strings cross as UTF-8, four bytes a character and zero included. */
    private static void texts(Session session) {
        TextResult plain = session.generate("a", greedy(1), null);
        TextResult fourBytes = session.generate("a\uD83E\uDD8A", greedy(1), null);
        equal(fourBytes.promptTokens > plain.promptTokens, true, "tokens of a fox");
        expectFailure(() -> session.generate(PROMPT, greedy(-1), null), "max_tokens");
    }

    /** As an activity does that goes to the background: the writing thread comes back with what there is. */
    private static void cancelled(Session session) throws Exception {
        TextOptions options = greedy(1000000);
        options.slide = true;
        options.temperature = 1;
        CountDownLatch begun = new CountDownLatch(3);
        AtomicReference<TextResult> result = new AtomicReference<>();
        AtomicReference<Token> last = new AtomicReference<>();
        Thread writer = new Thread(() -> result.set(session.generate(PROMPT, options, token -> {
            last.set(token);
            begun.countDown();
            return true;
        })));
        writer.start();
        equal(begun.await(120, TimeUnit.SECONDS), true, "the first tokens");
        session.cancel();
        writer.join(120000);
        equal(writer.isAlive(), false, "the end of a cancelled text");
        equal(result.get().finish, Finish.CANCELLED, "its finish");
        equal(last.get().finish, Finish.CANCELLED, "the finish told last");
    }

    private static void throwing(Session session) {
        IllegalStateException own = new IllegalStateException("the listener's own");
        try {
            session.generate(PROMPT, greedy(TOKENS), token -> {
                throw own;
            });
        } catch (IllegalStateException failure) {
            equal(failure == own, true, "what the listener threw");
            return;
        }
        throw new AssertionError("what a listener throws is lost");
    }

    private static void stopped(Session session) {
        List<Token> told = new ArrayList<>();
        session.generate(PROMPT, greedy(TOKENS), token -> {
            told.add(token);
            return told.size() < 2;
        });
        equal(told.size(), 2, "tokens told to a listener that wants no more");
    }

    /** The model's files one behind the other in a single file, as assets lie in an APK. */
    private static void fromDescriptors(Path run, Device device, String expected) throws IOException {
        Path packed = Files.createTempFile("fabula", ".apk");
        try (RandomAccessFile file = new RandomAccessFile(packed.toFile(), "rw")) {
            List<Model.Part> parts = new ArrayList<>();
            int descriptor = descriptorOf(packed);
            for (File part : run.toFile().listFiles()) {
                if (!part.isFile()) continue;
                file.write(new byte[13]);
                long begin = file.getFilePointer();
                file.write(Files.readAllBytes(part.toPath()));
                parts.add(new Model.Part(part.getName(), descriptor, begin, part.length()));
            }
            file.write(new byte[13]);
            try (Model model = Model.open(parts, null);
                    Session session = new Session(device, model, 1, true)) {
                toldTextIs(expected, session);
            }
            parts.remove(0);
            parts.clear();
            expectFailure(() -> Model.open(parts, null), "config.json");
        } finally {
            Files.delete(packed);
        }
    }

    /** The number of the descriptor that a file is open by; on Android ParcelFileDescriptor.getFd() tells it. */
    private static int descriptorOf(Path path) throws IOException {
        for (File link : new File("/proc/self/fd").listFiles()) {
            try {
                if (Files.isSameFile(Files.readSymbolicLink(link.toPath()), path)) {
                    return Integer.parseInt(link.getName());
                }
            } catch (IOException gone) {
                // A pipe, or the descriptor that the list itself was read by.
            }
        }
        throw new AssertionError("no descriptor of " + path);
    }

    /** A session keeps what it needs of a device and a model that were closed. */
    private static void outlives(Path run, Device device, String expected) {
        Model model = Model.open(run.toString(), null);
        Session session = new Session(device, model, 1, true);
        model.close();
        model.close();
        toldTextIs(expected, session);
        session.close();
        session.close();
        expectFailure(() -> session.generate(PROMPT, greedy(1), null), "");
        expectFailure(() -> new Session(device, model, 1, true), "");
    }

    private static void refusals(Path run) throws ReflectiveOperationException {
        expectFailure(() -> Model.open(run + "/nowhere", null), "nowhere");
        expectFailure(() -> Model.open(run.toString(), "int3"), "int3");
        expectFailure(() -> new Device("no such device", null), "no such device");
        Device closed = new Device(null, "none");
        String name = closed.name();
        closed.close();
        equal(closed.name(), name, "the name of a device that was closed");
        foreignExceptions();
    }

    /** What a native method throws in C++, here for lists that are too short, comes as an exception of Java. */
    private static void foreignExceptions() throws ReflectiveOperationException {
        Method generate = Class.forName("org.fabula.Native").getDeclaredMethod(
                "generate", long.class, byte[].class, long[].class, double[].class, byte[][].class, TokenListener.class);
        generate.setAccessible(true);
        try {
            generate.invoke(null, 0L, null, new long[0], new double[0], new byte[0][], null);
        } catch (InvocationTargetException failure) {
            equal(failure.getCause() instanceof FabulaException, true, "a FabulaException, not " + failure.getCause());
            equal(((FabulaException) failure.getCause()).status(), 11, "the status of a bug in fabula");
            return;
        }
        throw new AssertionError("a list of no numbers is taken");
    }

    private static void expectFailure(Runnable call, String part) {
        try {
            call.run();
        } catch (FabulaException failure) {
            equal(failure.status() != 0 && failure.getMessage().contains(part) && !failure.getMessage().isEmpty(), true,
                    "\"" + part + "\" in " + failure.getMessage());
            return;
        }
        throw new AssertionError("no failure that says \"" + part + "\"");
    }

    private static boolean mapped(String part) throws IOException {
        for (String line : Files.readAllLines(Paths.get("/proc/self/maps"))) if (line.contains(part)) return true;
        return false;
    }

    private static void equal(Object actual, Object expected, String what) {
        if (!actual.equals(expected)) throw new AssertionError(what + ": " + actual + ", expected " + expected);
    }
}
