import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.state.Stores;

/**
 * The players' totals by Kafka Streams, exactly once: what one would write to have them without
 * Redis. It keeps them in memory, with their changelog, and tells changes to a topic; nobody can ask
 * it for a rank.
 *
 * <p>Says {@code ready} with the first event, and {@code took} with the seconds when all are
 * committed.
 */
public final class Totals {
  private static final ObjectMapper JSON = new ObjectMapper();

  public static void main(String[] arguments) throws Exception {
    String brokers = arguments[0];
    String topic = arguments[1];
    String folder = arguments[2];
    long events = Long.parseLong(arguments[3]);
    String name = topic + "-totals";

    AtomicLong begun = new AtomicLong();
    AtomicLong counted = new AtomicLong();
    CountDownLatch all = new CountDownLatch(1);
    StreamsBuilder builder = new StreamsBuilder();
    builder
        .stream(topic, Consumed.with(Serdes.String(), Serdes.ByteArray()))
        .groupByKey(Grouped.with(Serdes.String(), Serdes.ByteArray()))
        .aggregate(
            () -> 0L,
            (player, event, total) -> {
              long count = counted.incrementAndGet();
              if (count == 1) {
                begun.set(System.nanoTime());
                System.out.println("ready");
              }
              if (count == events) {
                all.countDown();
              }
              return total + score(event);
            },
            Materialized.<String, Long>as(Stores.inMemoryKeyValueStore("totals"))
                .withKeySerde(Serdes.String())
                .withValueSerde(Serdes.Long()))
        .toStream()
        .to(name, Produced.with(Serdes.String(), Serdes.Long()));

    Properties settings = new Properties();
    settings.put(StreamsConfig.APPLICATION_ID_CONFIG, name);
    settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, brokers);
    settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
    settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, Runtime.getRuntime().availableProcessors());
    settings.put(StreamsConfig.STATE_DIR_CONFIG, folder);
    settings.put(StreamsConfig.producerPrefix("compression.type"), "lz4");
    settings.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");

    try (Admin admin = Admin.create(Map.of("bootstrap.servers", brokers))) {
      admin.createTopics(List.of(new NewTopic(name, Optional.of(6), Optional.empty()))).all().get();
      KafkaStreams streams = new KafkaStreams(builder.build(), settings);
      streams.start();
      all.await();
      // Which commits.
      streams.close();
      System.out.println("took " + (System.nanoTime() - begun.get()) / 1e9);
      // Until its processor time was read.
      System.in.read();
      System.in.read(new byte[64]);
      List<String> made = new ArrayList<>(admin.listTopics().names().get());
      made.removeIf(other -> !other.startsWith(name));
      admin.deleteTopics(made).all().get();
    }
  }

  private static long score(byte[] event) {
    try {
      return JSON.readTree(event).get("score").asLong();
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
  }
}
