import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Sends three plain events without a key, then prints the first snapshot in which all are counted. */
public class Plain {
    public static void main(String[] args) throws Exception {
        String brokers = args[0], scores = args[1], leaderboard = args[2];
        String event = "{\"score\": 5, \"user_id\": 42, \"created_at\": \"2026-01-21T12:00:00.123456\"}";
        try (var producer = new KafkaProducer<>(
                Map.<String, Object>of("bootstrap.servers", brokers, "compression.type", "gzip"),
                new StringSerializer(), new StringSerializer())) {
            for (int i = 0; i < 3; i++) {
                producer.send(new ProducerRecord<String, String>(scores, event)).get();
            }
        }
        try (var consumer = new KafkaConsumer<>(
                Map.<String, Object>of("bootstrap.servers", brokers),
                new StringDeserializer(), new StringDeserializer())) {
            var partition = List.of(new TopicPartition(leaderboard, 0));
            consumer.assign(partition);
            consumer.seekToBeginning(partition);
            long deadline = System.currentTimeMillis() + 30_000;
            while (System.currentTimeMillis() < deadline) {
                for (var record : consumer.poll(Duration.ofMillis(200))) {
                    if (record.value().contains("\"score\":15,")) {
                        System.out.println(record.key() + "\t" + record.value());
                        return;
                    }
                }
            }
        }
        System.err.println("no snapshot with all three events within 30 s");
        System.exit(1);
    }
}
