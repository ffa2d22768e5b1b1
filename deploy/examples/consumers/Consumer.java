// A department's own system: reads its queue at least once, works each event once, and knows which conversations it may answer.
// java -cp 'kafka-clients.jar:jackson-databind.jar:…' Consumer.java

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.time.Duration;
import java.util.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

public class Consumer {
    record Case(long sequence, boolean isOurs) {}

    static final Path STORE = Path.of(System.getenv("STORE"));  // a line an event; in your system, tables of a database
    static final Set<String> seen = new HashSet<>();
    static final Map<String, Case> cases = new HashMap<>();

    /** Apply one line of the store. Order is `sequence`, not the order of arrival; never wait for a gap. */
    static void apply(String line) {
        String[] field = line.split("\t");  // event id, type, conversation, sequence
        if (field.length < 4 || !seen.add(field[0])) return;
        Case newer = new Case(Long.parseLong(field[3]), !field[1].equals("conversation.left"));  // left: answer it no more
        cases.merge(field[2], newer, (old, now) -> now.sequence() > old.sequence() ? now : old);
    }

    /** Work one record; one that cannot be read is noted for people, and stops no other. */
    static void work(ConsumerRecord<byte[], byte[]> record, ObjectMapper json) throws IOException {
        try {
            String id = header(record, "ce_id"), type = header(record, "ce_type");
            JsonNode event = json.readTree(record.value()), decision = event.has("routing") ? event.get("routing") : event;
            if (seen.contains(id) || !decision.has("sequence")) return;  // a repetition, or it changes no case
            String line = String.join("\t", id, type, decision.get("conversation_id").asText(),
                Long.toString(decision.get("sequence").longValue()));
            // DSYNC: the line is on the disk before the offset is committed. The message itself is event.get("contact").
            Files.writeString(STORE, line + "\n", StandardOpenOption.CREATE, StandardOpenOption.APPEND, StandardOpenOption.DSYNC);
            apply(line);
        } catch (com.fasterxml.jackson.core.JsonProcessingException | NullPointerException | IllegalArgumentException e) {
            System.err.println("unreadable: " + record.topic() + "[" + record.partition() + "] at " + record.offset());
        }
    }

    static String header(ConsumerRecord<byte[], byte[]> record, String name) {
        return new String(record.headers().lastHeader(name).value(), StandardCharsets.UTF_8);
    }

    public static void main(String[] args) throws IOException {
        if (Files.exists(STORE)) Files.readAllLines(STORE).forEach(Consumer::apply);
        String user = System.getenv("KAFKA_USERNAME");  // <prefix>-department-<slug>; its consumer group has the same name
        Map<String, Object> settings = Map.of(
            "bootstrap.servers", System.getenv("KAFKA_BOOTSTRAP"), "group.id", user,
            "session.timeout.ms", 10_000,  // a killed process gives its partitions back after it
            "enable.auto.commit", false, "auto.offset.reset", "earliest",
            "security.protocol", "SASL_SSL", "sasl.mechanism", "SCRAM-SHA-512",
            "sasl.jaas.config", "org.apache.kafka.common.security.scram.ScramLoginModule required username=\"" + user
                + "\" password=\"" + System.getenv("KAFKA_PASSWORD") + "\";",
            "ssl.truststore.type", "PEM", "ssl.truststore.location", System.getenv("KAFKA_CA_FILE"));
        ObjectMapper json = new ObjectMapper();
        try (var consumer = new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            consumer.subscribe(List.of(System.getenv("TOPIC")));
            while (true) {
                var records = consumer.poll(Duration.ofSeconds(1));
                for (var record : records) work(record, json);
                if (!records.isEmpty()) consumer.commitSync();  // after the store: what a crash repeats is known by its id
            }
        }
    }
}
