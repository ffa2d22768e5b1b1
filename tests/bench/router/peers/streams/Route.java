import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Properties;
import java.util.Set;
import java.util.regex.Pattern;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Produced;

/** route-12 on Kafka Streams: Jackson's tree, `contains` or one Pattern a rule, the first that holds decides; at least once. */
public final class Route {
    private static final ObjectMapper JSON = new ObjectMapper();

    private record Rule(String id, String department, Set<String> channels, Set<String> languages, List<String> contains, Pattern regex) {
        boolean holds(String channel, String language, String words) {
            if (!channels.isEmpty() && !channels.contains(channel)) return false;
            if (!languages.isEmpty() && !languages.contains(language)) return false;
            if (regex != null) return regex.matcher(words).find();
            for (String term : contains) if (words.contains(term)) return true;
            return false;
        }
    }

    private record Routed(String department, byte[] value) {}

    private static List<String> texts(JsonNode array) {
        List<String> found = new ArrayList<>();
        array.forEach(one -> found.add(one.asText()));
        return found;
    }

    private static List<Rule> rules(String file) throws IOException {
        List<Rule> rules = new ArrayList<>();
        for (JsonNode row : JSON.readTree(new File(file)).get("rules")) {
            Pattern regex = row.has("regex") ? Pattern.compile(row.get("regex").asText()) : null;
            rules.add(new Rule(row.get("id").asText(), row.get("department").asText(), new HashSet<>(texts(row.path("channels"))),
                new HashSet<>(texts(row.path("languages"))), texts(row.path("contains")), regex));
        }
        return rules;
    }

    private static Routed route(byte[] value, List<Rule> rules) {
        try {
            ObjectNode contact = (ObjectNode) JSON.readTree(value);
            JsonNode personal = contact.path("personal");
            String words = (personal.path("subject").asText() + "\n" + personal.path("text").asText()).toLowerCase();
            String channel = contact.path("channel").asText(), language = contact.path("language").asText();
            String department = "triage", by = "default";
            for (Rule rule : rules) {
                if (rule.holds(channel, language, words)) {
                    department = rule.department();
                    by = rule.id();
                    break;
                }
            }
            contact.putObject("routing").put("department", department).put("rule", by).put("decided_at", Instant.now().toString());
            return new Routed(department, JSON.writeValueAsBytes(contact));
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    public static void main(String[] given) throws Exception {
        String bootstrap = given[0], prefix = given[1], group = given[2];
        List<Rule> rules = rules(given[3]);
        Properties settings = new Properties();
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap);
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, group);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, given[4]);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 100);
        settings.put("auto.offset.reset", "earliest");
        settings.put("max.poll.records", 2000);
        settings.put("producer.acks", "all");
        settings.put("producer.enable.idempotence", true);
        settings.put("producer.linger.ms", 5);
        settings.put("producer.batch.size", 256 * 1024);
        StreamsBuilder builder = new StreamsBuilder();
        builder.stream(prefix + ".contact.received", Consumed.with(Serdes.ByteArray(), Serdes.ByteArray()))
            .mapValues(value -> route(value, rules))
            .to((key, routed, context) -> prefix + ".department." + routed.department(),
                Produced.with(Serdes.ByteArray(), Serdes.serdeFrom((topic, routed) -> routed.value(), (topic, bytes) -> null)));
        KafkaStreams streams = new KafkaStreams(builder.build(), settings);
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
    }
}
