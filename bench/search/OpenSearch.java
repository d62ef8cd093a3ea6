import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.List;
import org.opensearch.common.settings.Settings;
import org.opensearch.env.Environment;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.node.Node;
import org.opensearch.plugins.Plugin;

/** Starts one OpenSearch node from the jars on the class path: HOME HTTP-PORT TRANSPORT-PORT PLUGIN... */
public class OpenSearch {
    static class Peer extends Node {
        Peer(Environment environment, Collection<Class<? extends Plugin>> plugins) {
            super(environment, plugins, false);
        }
    }

    public static void main(String[] words) throws Exception {
        Settings settings = Settings.builder()
            .put("path.home", words[0]).put("http.port", words[1]).put("transport.port", words[2])
            .put("network.host", "127.0.0.1").put("discovery.type", "single-node")
            .put("node.name", "peer").put("cluster.name", "peer").build();
        List<Class<? extends Plugin>> plugins = new ArrayList<>();
        for (int i = 3; i < words.length; i++)
            plugins.add(Class.forName(words[i]).asSubclass(Plugin.class));
        Node node = new Peer(
            InternalSettingsPreparer.prepareEnvironment(settings, Collections.emptyMap(), null, () -> "peer"), plugins);
        node.start();
        System.out.println("started");
        Thread.currentThread().join();
    }
}
