// The fake runtime: capture of a stream into a graph, and its replay. A node keeps the arguments
// that it was captured with: what a program wants to change later has to be in device memory.

#include "fake_state.h"

#include <algorithm>
#include <cstring>

using fake::result;
using fake::state;

extern "C" cudaError_t cudaStreamBeginCapture(cudaStream_t handle, cudaStreamCaptureMode mode) {
    FAKE_ENTER();
    fake::Stream *stream = fake::find_stream(handle);
    if (!stream) {
        return result(cudaErrorInvalidResourceHandle);
    }
    if (stream == &state.legacy) {
        return result(cudaErrorStreamCaptureUnsupported);
    }
    if (stream->capture) {
        return result(cudaErrorIllegalState);
    }
    stream->capture = std::make_shared<fake::Capture>();
    stream->capture->origin = stream;
    stream->capture->mode = mode;
    return cudaSuccess;
}

extern "C" cudaError_t cudaStreamIsCapturing(cudaStream_t handle, cudaStreamCaptureStatus *status) {
    FAKE_ENTER();
    fake::Stream *stream = fake::find_stream(handle);
    if (!stream) {
        return result(cudaErrorInvalidResourceHandle);
    }
    *status = !stream->capture          ? cudaStreamCaptureStatusNone
              : stream->capture->broken ? cudaStreamCaptureStatusInvalidated
                                        : cudaStreamCaptureStatusActive;
    return cudaSuccess;
}

extern "C" cudaError_t cudaStreamEndCapture(cudaStream_t handle, cudaGraph_t *graph) {
    FAKE_ENTER();
    *graph = nullptr;
    fake::Stream *stream = fake::find_stream(handle);
    if (!stream) {
        return result(cudaErrorInvalidResourceHandle);
    }
    std::shared_ptr<fake::Capture> capture = stream->capture;
    if (!capture) {
        return result(cudaErrorIllegalState);
    }
    if (capture->origin != stream) {
        capture->broken = true;
        return result(cudaErrorStreamCaptureUnmatched);
    }
    for (fake::Stream *other : state.streams) {
        if (other->capture == capture) {
            other->capture = nullptr;
        }
    }
    if (capture->broken) {
        return result(cudaErrorStreamCaptureInvalidated);
    }
    if (!capture->unjoined.empty()) {
        return result(cudaErrorStreamCaptureUnjoined);
    }
    fake::Graph *made = new fake::Graph(std::move(capture->graph));
    state.graphs.insert(made);
    *graph = reinterpret_cast<cudaGraph_t>(made);
    return cudaSuccess;
}

static fake::Graph *find_graph(cudaGraph_t handle) {
    fake::Graph *graph = reinterpret_cast<fake::Graph *>(handle);
    return state.graphs.count(graph) ? graph : nullptr;
}

static fake::GraphExec *find_exec(cudaGraphExec_t handle) {
    fake::GraphExec *exec = reinterpret_cast<fake::GraphExec *>(handle);
    return state.graph_execs.count(exec) ? exec : nullptr;
}

static void take_nodes(fake::GraphExec *exec, const fake::Graph &graph) {
    exec->sources.clear();
    exec->ops.clear();
    for (const auto &node : graph.nodes) {
        exec->sources.push_back(node.get());
        exec->ops.push_back(*node);
    }
}

extern "C" cudaError_t cudaGraphInstantiate(cudaGraphExec_t *handle, cudaGraph_t graph_handle,
                                            unsigned long long flags) {
    FAKE_ENTER();
    fake::Graph *graph = find_graph(graph_handle);
    if (!graph ||
        (flags & ~static_cast<unsigned long long>(cudaGraphInstantiateFlagUseNodePriority))) {
        return result(cudaErrorInvalidValue);
    }
    fake::GraphExec *exec = new fake::GraphExec;
    take_nodes(exec, *graph);
    state.graph_execs.insert(exec);
    *handle = reinterpret_cast<cudaGraphExec_t>(exec);
    return cudaSuccess;
}

extern "C" cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t *handle, cudaGraph_t graph,
                                                     unsigned long long flags) {
    return cudaGraphInstantiate(handle, graph, flags);
}

extern "C" cudaError_t cudaGraphUpload(cudaGraphExec_t exec, cudaStream_t stream) {
    FAKE_ENTER();
    return result(find_exec(exec) && fake::find_stream(stream) ? cudaSuccess
                                                               : cudaErrorInvalidValue);
}

extern "C" cudaError_t cudaGraphLaunch(cudaGraphExec_t handle, cudaStream_t stream_handle) {
    FAKE_ENTER();
    fake::GraphExec *exec = find_exec(handle);
    fake::Stream *stream = fake::find_stream(stream_handle);
    if (!exec || !stream) {
        return result(cudaErrorInvalidValue);
    }
    if (stream->capture) {
        stream->capture->broken = true;
        return result(cudaErrorStreamCaptureUnsupported);
    }
    state.stats.n_launches++;
    bool fails = fake::fails_now(&state.fail_launch);
    for (const fake::Op &op : exec->ops) {
        fake::Op copy = op;
        copy.fails = fails && op.kind == fake::Kind::kernel;
        if (cudaError_t error = fake::enqueue(stream, std::move(copy))) {
            return result(error);
        }
    }
    return cudaSuccess;
}

// The same operations in the same order, of the same kernels; everything else may have changed.
extern "C" cudaError_t cudaGraphExecUpdate(cudaGraphExec_t handle, cudaGraph_t graph_handle,
                                           cudaGraphExecUpdateResultInfo *info) {
    FAKE_ENTER();
    fake::GraphExec *exec = find_exec(handle);
    fake::Graph *graph = find_graph(graph_handle);
    if (!exec || !graph || !info) {
        return result(cudaErrorInvalidValue);
    }
    std::memset(info, 0, sizeof(*info));
    info->result = cudaGraphExecUpdateSuccess;
    if (graph->nodes.size() != exec->ops.size()) {
        info->result = cudaGraphExecUpdateErrorTopologyChanged;
    }
    for (std::size_t i = 0; i < exec->ops.size() && info->result == cudaGraphExecUpdateSuccess;
         i++) {
        const fake::Op &now = exec->ops[i], &then = *graph->nodes[i];
        if (now.kind != then.kind) {
            info->result = cudaGraphExecUpdateErrorNodeTypeChanged;
        } else if (now.cooperative != then.cooperative) {
            info->result = cudaGraphExecUpdateErrorAttributesChanged;
        }
    }
    if (info->result != cudaGraphExecUpdateSuccess) {
        return result(cudaErrorGraphExecUpdateFailure);
    }
    for (std::size_t i = 0; i < exec->ops.size(); i++) {
        exec->ops[i] = *graph->nodes[i];
    }
    return cudaSuccess;
}

extern "C" cudaError_t cudaGraphGetNodes(cudaGraph_t handle, cudaGraphNode_t *nodes,
                                         size_t *n_nodes) {
    FAKE_ENTER();
    fake::Graph *graph = find_graph(handle);
    if (!graph) {
        return result(cudaErrorInvalidValue);
    }
    std::size_t n = graph->nodes.size();
    if (nodes) {
        n = std::min(n, *n_nodes);
        for (std::size_t i = 0; i < n; i++) {
            nodes[i] = reinterpret_cast<cudaGraphNode_t>(graph->nodes[i].get());
        }
    }
    *n_nodes = n;
    return cudaSuccess;
}

extern "C" cudaError_t cudaGraphNodeGetType(cudaGraphNode_t node, cudaGraphNodeType *type) {
    FAKE_ENTER();
    switch (reinterpret_cast<const fake::Op *>(node)->kind) {
    case fake::Kind::kernel:
        *type = cudaGraphNodeTypeKernel;
        break;
    case fake::Kind::copy:
        *type = cudaGraphNodeTypeMemcpy;
        break;
    case fake::Kind::fill:
        *type = cudaGraphNodeTypeMemset;
        break;
    case fake::Kind::record:
        *type = cudaGraphNodeTypeEventRecord;
        break;
    case fake::Kind::wait:
        *type = cudaGraphNodeTypeWaitEvent;
        break;
    case fake::Kind::host:
        *type = cudaGraphNodeTypeHost;
        break;
    }
    return cudaSuccess;
}

extern "C" cudaError_t cudaGraphExecKernelNodeSetParams(cudaGraphExec_t handle,
                                                        cudaGraphNode_t node,
                                                        const cudaKernelNodeParams *params) {
    FAKE_ENTER();
    fake::GraphExec *exec = find_exec(handle);
    if (!exec || params->extra) {
        return result(cudaErrorInvalidValue);
    }
    auto found = std::find(exec->sources.begin(), exec->sources.end(),
                           reinterpret_cast<const fake::Op *>(node));
    if (found == exec->sources.end()) {
        return result(cudaErrorInvalidValue);
    }
    fake::Op &op = exec->ops[static_cast<std::size_t>(found - exec->sources.begin())];
    fake::Op changed{};
    if (op.kind != fake::Kind::kernel) {
        return result(cudaErrorInvalidValue);
    }
    cudaError_t error =
        fake::make_kernel_op(params->func, params->gridDim, params->blockDim, params->kernelParams,
                             params->sharedMemBytes, op.cooperative, &changed);
    if (error == cudaSuccess) {
        op = std::move(changed);
    }
    return result(error);
}

extern "C" cudaError_t cudaGraphDestroy(cudaGraph_t handle) {
    FAKE_ENTER();
    fake::Graph *graph = find_graph(handle);
    if (!graph) {
        return result(cudaErrorInvalidValue);
    }
    state.graphs.erase(graph);
    delete graph;
    return cudaSuccess;
}

extern "C" cudaError_t cudaGraphExecDestroy(cudaGraphExec_t handle) {
    FAKE_ENTER();
    fake::GraphExec *exec = find_exec(handle);
    if (!exec) {
        return result(cudaErrorInvalidValue);
    }
    state.graph_execs.erase(exec);
    delete exec;
    return cudaSuccess;
}
